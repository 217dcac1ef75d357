"""The larger world of the recipe "scenes": two rows of places under a sky, two to six things, textures."""
