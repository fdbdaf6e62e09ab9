"""Training of XMemLite: clips made from pictures with masks, losses, one readable loop."""
