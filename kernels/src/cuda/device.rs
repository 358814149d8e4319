//! A CUDA device through its driver: memory, copies and launches on the stream that libtorch uses too; rows come over a
//! stream of their own, [`Staging`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cudarc::driver::sys::CUdevice_attribute_enum::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
use cudarc::driver::sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
use cudarc::driver::sys::CUmemPool_attribute_enum::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
use cudarc::driver::{
    CudaContext, CudaFunction, CudaModule, CudaStream, DeviceRepr, DriverError, LaunchConfig, PushKernelArg,
    result, sys,
};
use cudarc::nvrtc::Ptx;

use super::compile::{arch_name, compiled};
use super::gpu::{Argument, Fill, Gpu, Mark, Tensor};
use super::guarded::Guarded;
use super::kernel::CudaKernel;
use super::probe::{self, Version};
use super::source::{Kernel, SOURCES};
use super::staging::Staging;
use crate::KernelError;
use crate::id::CudaArch;

/// Oldest compute capability of the portable kernels.
const MIN_CAPABILITY: Version = Version { major: 8, minor: 0 };
/// The compute capability of Hopper, which alone has its instructions.
const HOPPER: Version = Version { major: 9, minor: 0 };

/// A part of the rows of one side: long enough for copies and sweeps, and little of any device's memory, even though two of
/// either side are held.
const PART_BYTES: usize = 256 << 20;

/// Memory that the pool keeps, the most that an operation may take beside its inputs and outputs; libtorch has a pool of
/// its own.
const KEPT_BYTES: u64 = 64 << 20;

/// The kernels `arch` on the first device; found once, then remembered.
///
/// # Errors
/// Why there are none here, in a few words.
pub(crate) fn kernel(arch: CudaArch) -> Result<CudaKernel, String> {
    first(arch).map(CudaKernel::new)
}

/// As [`kernel`], with all memory guarded: slower, for verification.
///
/// # Errors
/// As [`kernel`].
pub(crate) fn guarded_kernel(arch: CudaArch) -> Result<CudaKernel, String> {
    first(arch).map(Guarded::gpu).map(CudaKernel::new)
}

/// The first device with the kernels `arch`.
///
/// # Errors
/// As [`kernel`].
pub(super) fn first(arch: CudaArch) -> Result<Arc<dyn Gpu>, String> {
    Ok(device(arch)? as Arc<dyn Gpu>)
}

fn device(arch: CudaArch) -> Result<Arc<CudaDevice>, String> {
    static SM80: OnceLock<Result<Arc<CudaDevice>, String>> = OnceLock::new();
    static SM90A: OnceLock<Result<Arc<CudaDevice>, String>> = OnceLock::new();
    let device = match arch {
        CudaArch::Sm80 => &SM80,
        CudaArch::Sm90a => &SM90A,
    };
    let device = device.get_or_init(|| CudaDevice::first(arch).map(Arc::new));
    device.clone()
}

/// The stream of all work on the first device, ours and libtorch's.
///
/// # Errors
/// As [`kernel`].
pub(super) fn stream() -> Result<Arc<CudaStream>, String> {
    device(CudaArch::Sm80).map(|device| Arc::clone(&device.stream))
}

/// The first device with the fastest kernels that it can run.
///
/// # Errors
/// As [`kernel`].
#[cfg(feature = "torch")]
pub(super) fn fastest() -> Result<Arc<dyn Gpu>, String> {
    first(CudaArch::Sm90a).or_else(|_| first(CudaArch::Sm80))
}

/// A device with its primary context, which libtorch shares.
#[derive(Debug)]
struct CudaDevice {
    context: Arc<CudaContext>,
    /// The default stream: libtorch's too, so that our work and its work need no other order.
    stream: Arc<CudaStream>,
    /// Which kernels are used.
    arch: CudaArch,
    /// Name of the architecture that they are compiled for.
    arch_name: String,
    n_processors: u32,
    loaded: Mutex<Loaded>,
    /// Those that nobody uses: as many as there were calls at the same time, 16 MiB of pinned memory each, and kept.
    staging: Mutex<Vec<Staging>>,
}

/// What was compiled so far.
#[derive(Debug, Default)]
struct Loaded {
    /// By the place in [`SOURCES`].
    modules: HashMap<usize, Arc<CudaModule>>,
    functions: HashMap<&'static str, CudaFunction>,
}

/// Lets the device's pool keep what small operations free: by default all of it goes back to the system whenever the
/// stream is waited for, and is asked for again a moment later.
fn keep_freed_memory(context: &CudaContext) -> Result<(), DriverError> {
    if !context.has_async_alloc() {
        return Ok(());
    }
    let mut bytes = KEPT_BYTES;
    // SAFETY: the device is the context's; the attribute takes a number of 64 bits, which is read during the call.
    unsafe {
        let pool = result::device::get_mem_pool(context.cu_device())?;
        result::mem_pool::set_attribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, (&raw mut bytes).cast())
    }
}

fn failed(call: &'static str) -> impl Fn(DriverError) -> KernelError {
    move |source| KernelError::Cuda { call, source }
}

impl CudaDevice {
    /// The first visible device, if the kernels `arch` can run on it.
    fn first(arch: CudaArch) -> Result<Self, String> {
        let driver = probe::driver().map_err(|reason| reason.to_string())?;
        probe::nvrtc().map_err(|reason| reason.to_string())?;
        let capability = driver.devices[0].compute_capability;
        let capability = capability.ok_or("the device does not tell its compute capability")?;
        if capability < MIN_CAPABILITY {
            return Err(format!("compute capability {capability}, needs {MIN_CAPABILITY}"));
        }
        if arch == CudaArch::Sm90a && capability != HOPPER {
            return Err(format!("compute capability {capability}, needs {HOPPER}"));
        }
        let text = |error: DriverError| format!("{error:?}");
        let context = CudaContext::new(0).map_err(text)?;
        // Everything is on one stream but for the copies of `Staging`, which have events of their own; events for each
        // buffer would order nothing.
        // SAFETY: no slice of another stream exists in this context's name, now or later: those copies take addresses.
        unsafe { context.disable_event_tracking() };
        keep_freed_memory(&context).map_err(text)?;
        let n_processors = context
            .attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)
            .map_err(text)?;
        Ok(Self {
            staging: Mutex::default(),
            stream: context.default_stream(),
            context,
            arch,
            arch_name: arch_name(capability),
            n_processors: n_processors.unsigned_abs(),
            loaded: Mutex::default(),
        })
    }

    /// The function of a kernel, compiled and loaded when it is first asked for.
    fn function(&self, kernel: &'static Kernel) -> Result<CudaFunction, KernelError> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(function) = loaded.functions.get(kernel.name) {
            return Ok(function.clone());
        }
        let module = match loaded.modules.get(&kernel.source) {
            Some(module) => Arc::clone(module),
            None => {
                let compiled = compiled(&SOURCES[kernel.source], &self.arch_name)?;
                let image = Ptx::from_binary(compiled.cubin);
                let module = self
                    .context
                    .load_module(image)
                    .map_err(failed("cuModuleLoadData"))?;
                loaded.modules.insert(kernel.source, Arc::clone(&module));
                module
            }
        };
        let function = module
            .load_function(kernel.name)
            .map_err(failed("cuModuleGetFunction"))?;
        function
            .set_attribute(
                CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                kernel.shared_bytes.cast_signed(),
            )
            .map_err(failed("cuFuncSetAttribute"))?;
        loaded.functions.insert(kernel.name, function.clone());
        Ok(function)
    }

    fn bind(&self) -> Result<(), KernelError> {
        self.context.bind_to_thread().map_err(failed("cuCtxSetCurrent"))
    }
}

/// A tensor map as kernels take it, by value.
#[repr(transparent)]
struct TensorMap(sys::CUtensorMap);

// SAFETY: the driver's own type, plain bytes, which kernels declare as a struct of the same size.
unsafe impl DeviceRepr for TensorMap {}

impl TensorMap {
    /// A map of the rows. Boxes of 64 columns lie in shared memory as rows of 128 bytes, permuted as tensor cores read
    /// them; what lies beyond the tensor becomes zeros.
    fn new(tensor: Tensor) -> Result<Self, DriverError> {
        use sys::CUtensorMapDataType_enum::CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
        use sys::CUtensorMapFloatOOBfill_enum::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE;
        use sys::CUtensorMapInterleave_enum::CU_TENSOR_MAP_INTERLEAVE_NONE;
        use sys::CUtensorMapL2promotion_enum::CU_TENSOR_MAP_L2_PROMOTION_L2_256B;
        use sys::CUtensorMapSwizzle_enum::CU_TENSOR_MAP_SWIZZLE_128B;

        let dims = [tensor.stride as u64, tensor.n_rows as u64];
        let row_bytes = [2 * tensor.stride as u64];
        let box_dims = [64, tensor.box_rows as u32];
        let mut map = sys::CUtensorMap { opaque: [0; 16] };
        // SAFETY: all pointers are to places that live during the call, as long as the rank of 2 says.
        unsafe {
            sys::cuTensorMapEncodeTiled(
                &raw mut map,
                CU_TENSOR_MAP_DATA_TYPE_FLOAT16,
                2,
                tensor.address as *mut _,
                dims.as_ptr(),
                row_bytes.as_ptr(),
                box_dims.as_ptr(),
                [1, 1].as_ptr(),
                CU_TENSOR_MAP_INTERLEAVE_NONE,
                CU_TENSOR_MAP_SWIZZLE_128B,
                CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
            )
        }
        .result()?;
        Ok(Self(map))
    }
}

impl Gpu for CudaDevice {
    fn arch(&self) -> CudaArch {
        self.arch
    }

    fn n_processors(&self) -> u32 {
        self.n_processors
    }

    fn part_bytes(&self) -> usize {
        PART_BYTES
    }

    fn allocate(&self, bytes: usize) -> Result<u64, KernelError> {
        self.bind()?;
        // SAFETY: the context is current on this thread; what the memory holds is nobody's concern before it is written.
        let address = unsafe {
            if self.context.has_async_alloc() {
                result::malloc_async(self.stream.cu_stream(), bytes)
            } else {
                result::malloc_sync(bytes)
            }
        };
        address.map_err(failed("cuMemAlloc"))
    }

    unsafe fn free(&self, address: u64) {
        // Where this fails the context is lost, and the next call says so.
        let _ = self.bind();
        // SAFETY: the address came from `allocate`, which chose in the same way, and nobody uses it after what the stream
        // already holds (the caller's promise).
        let freed = unsafe {
            if self.context.has_async_alloc() {
                result::free_async(address, self.stream.cu_stream())
            } else {
                result::free_sync(address)
            }
        };
        if let Err(error) = freed {
            tracing::warn!("device memory was not given back: {error:?}");
        }
    }

    unsafe fn fill(&self, address: u64, byte: u8, bytes: usize) -> Result<(), KernelError> {
        self.bind()?;
        // SAFETY: the caller owns these bytes.
        unsafe { result::memset_d8_async(address, byte, bytes, self.stream.cu_stream()) }
            .map_err(failed("cuMemsetD8Async"))
    }

    unsafe fn write(&self, address: u64, bytes: &[u8]) -> Result<(), KernelError> {
        self.bind()?;
        // SAFETY: the caller owns as many bytes there. From memory that is not pinned the driver has copied everything
        // when the call returns, so that the slice may change.
        unsafe { result::memcpy_htod_async(address, bytes, self.stream.cu_stream()) }
            .map_err(failed("cuMemcpyHtoDAsync"))
    }

    fn mark(&self) -> Result<Mark, KernelError> {
        let event = self.stream.record_event(None);
        event.map(Mark::Event).map_err(failed("cuEventRecord"))
    }

    unsafe fn upload(
        &self,
        address: u64,
        bytes: usize,
        unit: usize,
        after: &Mark,
        fill: Fill<'_>,
    ) -> Result<(), KernelError> {
        let idle = || self.staging.lock().unwrap_or_else(PoisonError::into_inner);
        let one = idle().pop();
        let mut staging = match one {
            Some(staging) => staging,
            None => Staging::new(&self.context).map_err(failed("cuStreamCreate"))?,
        };
        // Not under the lock: while threads of a pool wait for `fill` they may take other work, which copies too.
        // SAFETY: the caller's promise; all other work on the memory is in the order of the stream.
        unsafe { staging.copy(&self.stream, after.event(), address, bytes, unit, fill) }
            .map_err(failed("cuMemcpyHtoDAsync"))?;
        idle().push(staging);
        Ok(())
    }

    unsafe fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), KernelError> {
        self.bind()?;
        // SAFETY: the caller may read as many bytes there; the stream is waited for before the slice is used.
        unsafe { result::memcpy_dtoh_async(bytes, address, self.stream.cu_stream()) }
            .map_err(failed("cuMemcpyDtoHAsync"))?;
        self.stream.synchronize().map_err(failed("cuStreamSynchronize"))
    }

    unsafe fn launch(
        &self,
        kernel: &'static Kernel,
        [x, y, z]: [u32; 3],
        arguments: &[Argument],
    ) -> Result<(), KernelError> {
        self.bind()?;
        let function = self.function(kernel)?;
        let tensors = arguments.iter().filter_map(|argument| match argument {
            Argument::Tensor(tensor) => Some(TensorMap::new(*tensor)),
            _ => None,
        });
        let tensors: Vec<TensorMap> = tensors
            .collect::<Result<_, _>>()
            .map_err(failed("cuTensorMapEncodeTiled"))?;
        let mut tensors = tensors.iter();
        let mut launch = self.stream.launch_builder(&function);
        for argument in arguments {
            match argument {
                Argument::Pointer(address) => launch.arg(address),
                Argument::U32(number) => launch.arg(number),
                Argument::F32(number) => launch.arg(number),
                Argument::F64(number) => launch.arg(number),
                Argument::Tensor(_) => launch.arg(tensors.next().expect("there is one of each")),
            };
        }
        let config = LaunchConfig {
            grid_dim: (x, y, z),
            block_dim: (kernel.threads, 1, 1),
            shared_mem_bytes: kernel.shared_bytes,
        };
        // SAFETY: kinds and memory are the caller's promise; block and shared memory are those that the kernel declares.
        unsafe { launch.launch(config) }.map_err(failed(kernel.name))?;
        Ok(())
    }
}
