//! Peak memory of this process, as Linux counts it.

use std::fs;

#[cfg(any(feature = "torch", test))]
/// Starts a new count of the peak; false where that is refused, as inside some containers: [`peak_bytes`] then is that
/// of the whole process.
pub(crate) fn reset_peak() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Most resident memory since [`reset_peak`], in bytes; `None` where the system does not say.
pub(crate) fn peak_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    parse_peak(&status)
}

fn parse_peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_line_that_the_kernel_writes() {
        assert_eq!(
            parse_peak("Name:\tx\nVmHWM:\t    1234 kB\nVmRSS:\t 1 kB\n"),
            Some(1234 * 1024)
        );
        assert_eq!(parse_peak("Name:\tx\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn sees_a_large_allocation() {
        // Refused or not, the count never falls behind what is held.
        let _ = reset_peak();
        let before = peak_bytes().expect("Linux counts");
        let block = vec![1_u8; 64 << 20];
        let after = peak_bytes().expect("Linux counts");
        assert_eq!(block.iter().map(|&byte| u64::from(byte)).sum::<u64>(), 64 << 20);
        assert!(after >= before + (32 << 20), "{before} then {after}");
    }
}
