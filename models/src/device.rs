//! Names of devices.

use hitbench_kernels::map;
use tch::Device;

use crate::error::ModelError;

/// The device called `cpu` or `cuda:N`. The first call for a GPU loads libtorch's CUDA side, which must come
/// before anything else asks libtorch for CUDA.
///
/// # Errors
/// [`ModelError::Device`] when the name is another or libtorch does not see the device.
pub(crate) fn parse_device(name: &str) -> Result<Device, ModelError> {
    let refuse = |reason: String| ModelError::Device {
        name: name.to_owned(),
        reason,
    };
    if name == "cpu" {
        return Ok(Device::Cpu);
    }
    let index = name
        .strip_prefix("cuda:")
        .and_then(|index| index.parse::<usize>().ok());
    let index = index.ok_or_else(|| refuse("devices are `cpu` and `cuda:N`".to_owned()))?;
    map::load_libtorch_cuda().map_err(|error| refuse(error.to_string()))?;
    let n_gpus = if tch::Cuda::is_available() {
        tch::Cuda::device_count()
    } else {
        0
    };
    if index as i64 >= n_gpus {
        return Err(refuse(format!("libtorch sees {n_gpus} GPUs")));
    }
    Ok(Device::Cuda(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cpu_and_numbered_gpus_are_devices() {
        assert_eq!(parse_device("cpu").unwrap(), Device::Cpu);
        for name in ["", "CPU", "cuda", "cuda:", "cuda:-1", "cuda:9999", "mps"] {
            assert!(parse_device(name).is_err(), "{name}");
        }
    }
}
