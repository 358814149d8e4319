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

const NVRTC_LIBRARY: Wheel = Wheel {
    requirement: "nvidia-cuda-nvrtc==13.0.88",
    file: "nvidia_cuda_nvrtc-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
    sha256: "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575",
};

/// The run-time compiler of our CUDA kernels, which needs no GPU, and the disassembler that the tests read its code
/// with. The oldest disassembler on the index is newer than the compiler; it reads the code of older ones.
pub const NVRTC: &[Source] = &[
    Source {
        wheel: NVRTC_LIBRARY,
        members: &[
            ("nvidia/cu13/lib/libnvrtc.so.13", "lib/libnvrtc.so.13"),
            (
                "nvidia/cu13/lib/libnvrtc-builtins.so.13.0",
                "lib/libnvrtc-builtins.so.13.0",
            ),
            (
                "nvidia_cuda_nvrtc-13.0.88.dist-info/licenses/",
                "licenses/cuda-nvrtc/",
            ),
        ],
    },
    Source {
        wheel: Wheel {
            requirement: "nvidia-cuda-nvdisasm==13.5.37",
            file: "nvidia_cuda_nvdisasm-13.5.37-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            sha256: "d3fdbdd49fa53e2e4aacd3db8259d052bd2b049ececdcb69e92e083c6728e7ca",
        },
        members: &[
            ("nvidia/cu13/bin/nvdisasm", "bin/nvdisasm"),
            (
                "nvidia_cuda_nvdisasm-13.5.37.dist-info/licenses/",
                "licenses/cuda-nvdisasm/",
            ),
        ],
    },
];

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

/// What `libtorch_cuda.so` needs, its own NVRTC included, in the wheels' own layout: its run path names `../../nvidia/*/lib`.
/// The two libraries that [`LIBTORCH`] already has are found by name, loaded before.
pub const CUDA: &[Source] = &[
    Source {
        wheel: TORCH,
        members: &[
            ("torch/lib/libtorch_cuda.so", "torch/lib/libtorch_cuda.so"),
            (
                "torch/lib/libtorch_cuda_linalg.so",
                "torch/lib/libtorch_cuda_linalg.so",
            ),
            ("torch/lib/libtorch_nvshmem.so", "torch/lib/libtorch_nvshmem.so"),
            ("torch/lib/libc10_cuda.so", "torch/lib/libc10_cuda.so"),
            ("torch/lib/libcaffe2_nvrtc.so", "torch/lib/libcaffe2_nvrtc.so"),
        ],
    },
    Source {
        wheel: CUDA_RUNTIME,
        members: &[("nvidia/cu13/include/", "nvidia/cu13/include/")],
    },
    Source {
        wheel: NVRTC_LIBRARY,
        members: &[
            ("nvidia/cu13/lib/libnvrtc.so.13", "nvidia/cu13/lib/libnvrtc.so.13"),
            (
                "nvidia/cu13/lib/libnvrtc-builtins.so.13.0",
                "nvidia/cu13/lib/libnvrtc-builtins.so.13.0",
            ),
            (
                "nvidia_cuda_nvrtc-13.0.88.dist-info/licenses/",
                "licenses/cuda-nvrtc/",
            ),
        ],
    },
    Source {
        wheel: Wheel {
            requirement: "nvidia-cuda-crt==13.0.88",
            file: "nvidia_cuda_crt-13.0.88-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            sha256: "2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4",
        },
        members: &[
            ("nvidia/cu13/include/crt/", "nvidia/cu13/include/crt/"),
            (
                "nvidia_cuda_crt-13.0.88.dist-info/licenses/",
                "licenses/cuda-crt/",
            ),
        ],
    },
    Source {
        wheel: Wheel {
            requirement: "nvidia-cublas==13.1.0.3",
            file: "nvidia_cublas-13.1.0.3-py3-none-manylinux_2_27_x86_64.whl",
            sha256: "ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171",
        },
        members: &[
            (
                "nvidia/cu13/lib/libcublas.so.13",
                "nvidia/cu13/lib/libcublas.so.13",
            ),
            (
                "nvidia/cu13/lib/libcublasLt.so.13",
                "nvidia/cu13/lib/libcublasLt.so.13",
            ),
            ("nvidia_cublas-13.1.0.3.dist-info/licenses/", "licenses/cublas/"),
        ],
    },
    Source {
        wheel: Wheel {
            requirement: "nvidia-cufft==12.0.0.61",
            file: "nvidia_cufft-12.0.0.61-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            sha256: "6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3",
        },
        members: &[
            ("nvidia/cu13/lib/libcufft.so.12", "nvidia/cu13/lib/libcufft.so.12"),
            ("nvidia_cufft-12.0.0.61.dist-info/licenses/", "licenses/cufft/"),
        ],
    },
    Source {
        wheel: Wheel {
            requirement: "nvidia-cufile==1.15.1.6",
            file: "nvidia_cufile-1.15.1.6-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            sha256: "08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44",
        },
        members: &[
            ("nvidia/cu13/lib/libcufile.so.0", "nvidia/cu13/lib/libcufile.so.0"),
            ("nvidia_cufile-1.15.1.6.dist-info/licenses/", "licenses/cufile/"),
        ],
    },
    Source {
        wheel: Wheel {
            requirement: "nvidia-curand==10.4.0.35",
            file: "nvidia_curand-10.4.0.35-py3-none-manylinux_2_27_x86_64.whl",
            sha256: "1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc",
        },
        members: &[
            (
                "nvidia/cu13/lib/libcurand.so.10",
                "nvidia/cu13/lib/libcurand.so.10",
            ),
            ("nvidia_curand-10.4.0.35.dist-info/licenses/", "licenses/curand/"),
        ],
    },
    Source {
        wheel: Wheel {
            requirement: "nvidia-cusolver==12.0.4.66",
            file: "nvidia_cusolver-12.0.4.66-py3-none-manylinux_2_27_x86_64.whl",
            sha256: "0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112",
        },
        members: &[
            (
                "nvidia/cu13/lib/libcusolver.so.12",
                "nvidia/cu13/lib/libcusolver.so.12",
            ),
            (
                "nvidia_cusolver-12.0.4.66.dist-info/licenses/",
                "licenses/cusolver/",
            ),
        ],
    },
    Source {
        wheel: Wheel {
            requirement: "nvidia-cusparse==12.6.3.3",
            file: "nvidia_cusparse-12.6.3.3-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            sha256: "2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b",
        },
        members: &[
            (
                "nvidia/cu13/lib/libcusparse.so.12",
                "nvidia/cu13/lib/libcusparse.so.12",
            ),
            (
                "nvidia_cusparse-12.6.3.3.dist-info/licenses/",
                "licenses/cusparse/",
            ),
        ],
    },
    Source {
        wheel: Wheel {
            requirement: "nvidia-nvjitlink==13.0.88",
            file: "nvidia_nvjitlink-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
            sha256: "13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b",
        },
        members: &[
            (
                "nvidia/cu13/lib/libnvJitLink.so.13",
                "nvidia/cu13/lib/libnvJitLink.so.13",
            ),
            (
                "nvidia_nvjitlink-13.0.88.dist-info/licenses/",
                "licenses/nvjitlink/",
            ),
        ],
    },
    Source {
        wheel: Wheel {
            requirement: "nvidia-cudnn-cu13==9.19.0.56",
            file: "nvidia_cudnn_cu13-9.19.0.56-py3-none-manylinux_2_27_x86_64.whl",
            sha256: "d20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf",
        },
        members: &[
            ("nvidia/cudnn/lib/", "nvidia/cudnn/lib/"),
            (
                "nvidia_cudnn_cu13-9.19.0.56.dist-info/licenses/",
                "licenses/cudnn/",
            ),
        ],
    },
    Source {
        wheel: Wheel {
            requirement: "nvidia-cusparselt-cu13==0.8.0",
            file: "nvidia_cusparselt_cu13-0.8.0-py3-none-manylinux2014_x86_64.whl",
            sha256: "25e30a8a7323935d4ad0340b95a0b69926eee755767e8e0b1cf8dd85b197d3fd",
        },
        members: &[
            ("nvidia/cusparselt/lib/", "nvidia/cusparselt/lib/"),
            ("nvidia_cusparselt_cu13-0.8.0.dist-info/", "licenses/cusparselt/"),
        ],
    },
    Source {
        wheel: Wheel {
            requirement: "nvidia-nccl-cu13==2.28.9",
            file: "nvidia_nccl_cu13-2.28.9-py3-none-manylinux_2_18_x86_64.whl",
            sha256: "e4553a30f34195f3fa1da02a6da3d6337d28f2003943aa0a3d247bbc25fefc42",
        },
        members: &[
            ("nvidia/nccl/lib/", "nvidia/nccl/lib/"),
            ("nvidia_nccl_cu13-2.28.9.dist-info/licenses/", "licenses/nccl/"),
        ],
    },
    Source {
        wheel: Wheel {
            requirement: "nvidia-nvshmem-cu13==3.4.5",
            file: "nvidia_nvshmem_cu13-3.4.5-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            sha256: "290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80",
        },
        members: &[
            (
                "nvidia/nvshmem/lib/libnvshmem_host.so.3",
                "nvidia/nvshmem/lib/libnvshmem_host.so.3",
            ),
            (
                "nvidia_nvshmem_cu13-3.4.5.dist-info/licenses/",
                "licenses/nvshmem/",
            ),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wheel_is_pinned_and_named_after_what_pip_is_asked_for() {
        for source in LIBTORCH.iter().chain(NVRTC).chain(CUDA) {
            let Wheel {
                requirement,
                file,
                sha256,
            } = source.wheel;
            let (name, version) = requirement.split_once("==").unwrap();
            assert!(
                file.starts_with(&format!("{}-{version}-", name.replace('-', "_"))),
                "{file}"
            );
            assert!(
                sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{file}"
            );
            assert!(
                source
                    .wheel
                    .platforms()
                    .all(|tag| tag.starts_with("manylinux") && tag.ends_with("x86_64"))
            );
        }
    }
}
