"""The mark in a picture that says which frame it shows."""

from __future__ import annotations

import torch


def made(pack_module, height: int = 40, width: int = 64):
    module = pack_module("nodes.painted_on")
    picture = torch.randint(0, 256, (height, width, 3), dtype=torch.uint8)
    mark = module.PaintedOn(module.clip_bytes("clip"), 1234567, 200)
    return module, picture, mark, module.write_mark(picture, mark)


def test_a_mark_is_read_back_and_unseen(pack_module):
    module, picture, mark, marked = made(pack_module)
    assert module.read_mark(marked) == mark
    assert (marked.int() - picture.int()).abs().max() <= 1
    assert torch.equal(marked[..., :2], picture[..., :2])
    assert module.read_mark(picture) is None


def test_any_whole_copy_of_the_mark_is_enough(pack_module):
    module, _, mark, marked = made(pack_module)
    marked.view(-1, 3)[: 15 * 160] = 255
    assert module.read_mark(marked) == mark
    marked.view(-1, 3)[15 * 160 + 80] ^= 1
    assert module.read_mark(marked) is None, "a damaged copy says nothing"


def test_the_smallest_pictures_have_no_room(pack_module):
    module, picture, _, marked = made(pack_module, 8, 8)
    assert torch.equal(marked, picture)
    assert module.read_mark(marked) is None
