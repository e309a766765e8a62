"""What each role may, in words; whether it may, the operations decide."""

from collections.abc import Mapping

from modelgenerator.service.records.organizations import Role

MAY: Mapping[Role, str] = {
    Role.VIEWER: "look at everything but keys and webhooks, and download",
    Role.MEMBER: "also upload, train, generate and run flows, which spends the balance",
    Role.ADMIN: "also members, API keys, webhooks and credit",
    Role.OWNER: "also delete subjects with everything that was made of them",
}
"""The least first; each may what those before it may."""
ACTS: tuple[tuple[str, Role], ...] = (
    ("See subjects, trainings, pictures, flows and the ledger", Role.VIEWER),
    ("Download pictures, and models where the server allows it", Role.VIEWER),
    ("Upload photos and write captions", Role.MEMBER),
    ("Train, generate and run flows, which spends the balance", Role.MEMBER),
    ("Save templates, packs and flows; publish flows", Role.MEMBER),
    ("Delete trainings, models and pictures", Role.MEMBER),
    ("Add members and change roles, up to their own", Role.ADMIN),
    ("Make and revoke API keys, up to their own role", Role.ADMIN),
    ("Webhooks, and add credit", Role.ADMIN),
    ("Delete a subject with everything that was made of it", Role.OWNER),
)
"""What somebody wants to do, and the least role that may."""
