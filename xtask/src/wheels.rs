//! The pinned wheels: names, hashes, and which of their files are unpacked to where.
//!
//! Releases are those that the metadata of the torch wheel asks for (`cuda-toolkit[...]==13.0.2` and the four
//! `nvidia-*-cu13` packages), so that libtorch meets the libraries it was tested with.

/// One wheel of the package index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wheel {
    /// What pip is asked for: `name==version`.
    pub requirement: &'static str,
    /// File name; its last part lists the platform tags.
    pub file: &'static str,
    /// Hash of the file.
    pub sha256: &'static str,
}

impl Wheel {
    /// The platform tags in the file name, for pip's `--platform`.
    pub fn platforms(&self) -> impl Iterator<Item = &'static str> {
        let tags = self
            .file
            .trim_end_matches(".whl")
            .rsplit('-')
            .next()
            .unwrap_or_default();
        tags.split('.')
    }
}

/// A wheel and what to take from it.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// The wheel.
    pub wheel: Wheel,
    /// Pairs of a member and its place in the unpacked folder; a pair that ends in `/` moves a whole folder.
    /// Every pair must match something.
    pub members: &'static [(&'static str, &'static str)],
}

const TORCH: Wheel = Wheel {
    requirement: "torch==2.11.0",
    file: "torch-2.11.0-cp312-cp312-manylinux_2_28_x86_64.whl",
    sha256: "0f68f4ac6d95d12e896c3b7a912b5871619542ec54d3649cf48cc1edd4dd2756",
};

const CUDA_RUNTIME: Wheel = Wheel {
    requirement: "nvidia-cuda-runtime==13.0.96",
    file: "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
    sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
};

const CUPTI: Wheel = Wheel {
    requirement: "nvidia-cuda-cupti==13.0.85",
    file: "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl",
    sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
};

/// What `libtorch_cpu.so` needs, in one `lib/`: its own run path ends in `$ORIGIN`, so that the five files find
/// each other without `LD_LIBRARY_PATH`.
pub const LIBTORCH: &[Source] = &[
    Source {
        wheel: TORCH,
        members: &[
            ("torch/lib/libtorch_cpu.so", "lib/libtorch_cpu.so"),
            ("torch/lib/libc10.so", "lib/libc10.so"),
            ("torch/lib/libgomp.so.1", "lib/libgomp.so.1"),
            ("torch/include/", "include/"),
            ("torch-2.11.0.dist-info/licenses/", "licenses/torch/"),
        ],
    },
    Source {
        wheel: CUDA_RUNTIME,
        members: &[
            ("nvidia/cu13/lib/libcudart.so.13", "lib/libcudart.so.13"),
            (
                "nvidia_cuda_runtime-13.0.96.dist-info/licenses/",
                "licenses/cuda-runtime/",
            ),
        ],
    },
    Source {
        wheel: CUPTI,
        members: &[
            ("nvidia/cu13/lib/libcupti.so.13", "lib/libcupti.so.13"),
            (
                "nvidia_cuda_cupti-13.0.85.dist-info/licenses/",
                "licenses/cuda-cupti/",
            ),
        ],
    },
];
