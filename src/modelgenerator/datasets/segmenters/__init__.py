"""Ways to find the main subject of a photo; `choice` chooses among them.

    alpha.py        the photo's own transparency
    drawn.py        pixel art, by a network of our own that is carried along
    person.py       people, by a small network out of an installed library
    multiclass.py   people, by a network from the hub that knows hair, skin and clothes
    birefnet.py     anything, by a large network from the hub
    grabcut.py      objects and drawings, by colour alone
    choice.py       names, kinds of subject, and the chain of `auto`

What they share: `faces.py` (where faces are, and the head around one), `edges.py` (a mask's edge,
drawn along the photo's), `person_files.py` (where the small networks lie).
"""
