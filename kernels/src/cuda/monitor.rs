//! The first device as the management library sees it: clocks, power, temperature, and what holds the clocks down. Reads,
//! and changes no setting.

use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::{Device, Nvml};

use super::probe;

/// Reads the condition of the first visible device.
#[derive(Debug)]
pub struct Monitor {
    nvml: Nvml,
    bus_id: String,
}

/// A device at one moment. What the management library does not tell is `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// Clock of the multiprocessors, in Hz.
    pub clock_hz: Option<u64>,
    /// Clock of the memory, in Hz.
    pub memory_clock_hz: Option<u64>,
    /// Power drawn, in watts.
    pub power_w: Option<f64>,
    /// Temperature of the chip, in degrees Celsius.
    pub temperature_c: Option<u32>,
    /// What holds clocks down, in the library's words such as `sw_power_cap`; idleness does not count.
    pub throttled_by: Option<Vec<String>>,
}

impl Monitor {
    /// The monitor of the first device; `None` where there is no device or no management library.
    pub fn first() -> Option<Self> {
        let driver = probe::driver().ok()?;
        Some(Self {
            nvml: Nvml::init().ok()?,
            bus_id: driver.devices.first()?.bus_id.clone()?,
        })
    }

    /// The condition now; `None` where the library does not know the device.
    pub fn read(&self) -> Option<Condition> {
        let device = self.nvml.device_by_pci_bus_id(&*self.bus_id).ok()?;
        Some(Condition {
            clock_hz: clock_hz(&device, Clock::SM),
            memory_clock_hz: clock_hz(&device, Clock::Memory),
            power_w: device
                .power_usage()
                .ok()
                .map(|milliwatts| f64::from(milliwatts) / 1e3),
            temperature_c: device.temperature(TemperatureSensor::Gpu).ok(),
            throttled_by: device.current_throttle_reasons().ok().map(words),
        })
    }
}

/// A clock of a device, in Hz.
pub(super) fn clock_hz(device: &Device<'_>, clock: Clock) -> Option<u64> {
    let megahertz = device.clock_info(clock).ok()?;
    Some(u64::from(megahertz) * 1_000_000)
}

fn words(reasons: ThrottleReasons) -> Vec<String> {
    (reasons - ThrottleReasons::GPU_IDLE)
        .iter_names()
        .map(|(name, _)| name.to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_named_and_idleness_is_none() {
        assert_eq!(words(ThrottleReasons::NONE), Vec::<String>::new());
        assert_eq!(words(ThrottleReasons::GPU_IDLE), Vec::<String>::new());
        let both = ThrottleReasons::SW_POWER_CAP | ThrottleReasons::HW_THERMAL_SLOWDOWN;
        assert_eq!(
            words(both | ThrottleReasons::GPU_IDLE),
            ["sw_power_cap", "hw_thermal_slowdown"]
        );
        assert_eq!(
            words(ThrottleReasons::APPLICATIONS_CLOCKS_SETTING),
            ["applications_clocks_setting"]
        );
    }

    #[test]
    fn monitoring_answers_on_any_machine() {
        let Some(condition) = Monitor::first().and_then(|monitor| monitor.read()) else {
            eprintln!("skipped: no device that the management library knows");
            return;
        };
        assert!(
            condition.clock_hz.is_some_and(|hz| hz > 1_000_000),
            "{condition:?}"
        );
    }
}
