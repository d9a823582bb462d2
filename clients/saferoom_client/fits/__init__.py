"""Training in the room, as its institution has it: asked for, priced, watched, ended and kept."""
