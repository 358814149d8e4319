"""Writes old.h5, new.h5 and newest.h5: small data sets of every kind of storage, in the formats of HDF5 1.6, 1.10 and 2.0.

Run with h5py on HDF5 2. `src/format/hdf5/tests.rs` reads them; a matrix named so is [2, 3] and holds 1 to 6, row after row, and a
grid is [7, 5] and holds 0 to 34.
"""

from pathlib import Path

import h5py
import numpy as np

HERE = Path(__file__).parent
MATRIX = np.arange(1, 7).reshape(2, 3)
GRID = np.arange(35, dtype="<f4").reshape(7, 5)
IDS = ["video0", "vidéo 1", "v.2"]


def numbers(group):
    for dtype in ("<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "<i2", ">i4", "u1"):
        group[f"matrix.{dtype}"] = MATRIX.astype(dtype)
    # Written bit by bit: libhdf5 would convert them.
    bf16 = (MATRIX.astype("<f4").view("<u4") >> 16).astype("<u2")
    write_as(group, "matrix.bf16", bf16, float_type(16, (7, 8), 127))
    write_as(group, "float.odd", bf16, float_type(16, (9, 6), 31))
    group["truth"] = np.array([True, False, True])
    group["rows"] = np.zeros((0, 3), "<f4")
    group["squeezed"] = np.zeros((1, 2, 3), "<f4")
    group["scalar"] = 1.5
    group["complex"] = MATRIX.astype("<c8")


def float_type(bits, exponent, bias):
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(bits - 1, exponent[0], exponent[1], 0, exponent[0])
    kind.set_size(bits // 8)
    kind.set_ebias(bias)
    return kind


def write_as(group, name, values, kind):
    space = h5py.h5s.create_simple(values.shape)
    h5py.h5d.create(group.id, name.encode(), kind, space).write(h5py.h5s.ALL, h5py.h5s.ALL, values, kind)


def texts(group):
    fixed = [text.encode() for text in IDS]
    group.create_dataset("ids.variable", data=IDS, dtype=h5py.string_dtype())
    group.create_dataset("ids.fixed", data=np.array(fixed, h5py.string_dtype(length=9)))
    group.create_dataset("ids.packed", data=IDS, dtype=h5py.string_dtype(), chunks=(2,), compression="gzip")
    group.create_dataset("ids.table", data=[IDS], dtype=h5py.string_dtype())
    group.create_dataset("ids.bad", data=np.array([b"\xff"], "S1"))
    group.create_dataset("ids.empty", data=["a", ""], dtype=h5py.string_dtype())


def grids(group):
    for name, how in {
        "gzip": dict(chunks=(3, 2), compression="gzip", shuffle=True, fletcher32=True),
        "plain": dict(chunks=(3, 2)),
        "shuffled": dict(chunks=(3, 2), shuffle=True),
        "one": dict(chunks=(7, 5), compression="gzip"),
        "growing": dict(chunks=(3, 2), maxshape=(None, 5), compression="gzip"),
        "boundless": dict(chunks=(3, 2), maxshape=(None, None), compression="gzip"),
    }.items():
        group.create_dataset(f"grid.{name}", data=GRID, **how)
    early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    early.set_chunk((3, 2))
    early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    space = h5py.h5s.create_simple(GRID.shape)
    h5py.h5d.create(group.id, b"grid.early", h5py.h5t.IEEE_F32LE, space, early).write(space, space, GRID)
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    h5py.h5d.create(group.id, b"grid.compact", h5py.h5t.IEEE_F32LE, space, compact).write(space, space, GRID)
    partly = group.create_dataset("grid.partly", (7, 5), "<f4", chunks=(3, 2), fillvalue=9)
    partly[:3, :2] = GRID[:3, :2]


def refused(group, is_old):
    group.create_dataset("absent.whole", (2, 3), "<f4", fillvalue=1)
    huge = dict(shape=(1 << 20, 1 << 20), maxshape=(None, None), dtype="<f4", chunks=(64, 64), compression="gzip")
    group.create_dataset("absent.chunks", **huge)
    group.create_dataset("bomb", **huge)[0, 0] = 1
    group.create_dataset("lzf", data=GRID, chunks=(3, 2), compression="lzf")
    group.create_dataset("elsewhere", (2, 3), "<f4", external=[("values.bin", 0, 24)])
    group["soft"] = h5py.SoftLink("/matrix.<f4")
    group["soft cycle"] = h5py.SoftLink("/soft cycle/x")
    if not is_old:
        group["external"] = h5py.ExternalLink("other.h5", "/matrix")
        source = h5py.VirtualSource("other.h5", "matrix", shape=(2, 3))
        layout = h5py.VirtualLayout(shape=(2, 3), dtype="<f4")
        layout[:] = source
        group.create_virtual_dataset("virtual", layout)


for name, versions in {"old": ("earliest", "v108"), "new": ("v110", "v110"), "newest": ("v200", "v200")}.items():
    with h5py.File(HERE / f"{name}.h5", "w", libver=versions) as file:
        numbers(file)
        texts(file)
        grids(file)
        refused(file, name == "old")
        inner = file.create_group("a.b/inner")
        inner["matrix"] = MATRIX.astype("<f4")
        inner["up"] = file
        inner["again"] = file["matrix.<f4"]
        few = file.create_group("few")
        few["only numbers"] = MATRIX.astype("<f8")
