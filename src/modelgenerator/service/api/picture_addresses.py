"""Where the small pictures of a dataset are found."""

from modelgenerator.service.records.datasets import DatasetPicture


def image_address(picture: DatasetPicture) -> str:
    """Of one image; what is shown of it lies below."""
    return f"/v1/datasets/{picture.dataset_id}/images/{picture.id}"


def thumbnail_of(picture: DatasetPicture) -> str:
    """Of its small picture."""
    return f"{image_address(picture)}/thumbnail"
