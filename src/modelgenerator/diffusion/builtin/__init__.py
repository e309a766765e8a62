"""The embedded base model `modelgenerator/creatures` and the recipe that made it.

`creatures/` is a diffusers folder like any other; nothing outside this package asks whether a base
model is this one.  The recipe reads in this order:

    scenes.py, creatures.py   how a picture is drawn
    world.py                  which pictures there are, with captions and exact masks
    subjects.py               creatures that the recipe never draws: what users teach
    autoencoder.py            pictures -> latents
    vocabulary.py             captions -> tokens
    pretrain.py               latents and captions -> U-Net and text encoder
    learner.py                one optimizer step, in one process or shared by several
    recipe.py                 the stages in order, as one command
"""
