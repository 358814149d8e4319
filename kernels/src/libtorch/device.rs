//! Where libtorch can compute on this machine.

use std::sync::OnceLock;

use tch::Device;

use crate::id::LibtorchDevice;
use crate::map::load_libtorch_cuda;

/// The device that a name stands for, or why there is none.
pub(super) fn device(name: LibtorchDevice) -> Result<Device, String> {
    static CUDA: OnceLock<Result<Device, String>> = OnceLock::new();
    match name {
        LibtorchDevice::Cpu => Ok(Device::Cpu),
        LibtorchDevice::Cuda => CUDA.get_or_init(cuda).clone(),
    }
}

fn cuda() -> Result<Device, String> {
    // libtorch remembers its first answer about CUDA, so its CUDA side must be there before the question.
    load_libtorch_cuda().map_err(|error| error.to_string())?;
    if tch::Cuda::is_available() {
        Ok(Device::Cuda(0))
    } else {
        Err("libtorch sees no CUDA device".to_owned())
    }
}

/// The devices of this machine.
pub(crate) fn available_devices() -> impl Iterator<Item = LibtorchDevice> {
    [LibtorchDevice::Cpu, LibtorchDevice::Cuda]
        .into_iter()
        .filter(|name| device(*name).is_ok())
}
