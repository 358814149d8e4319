//! Standard output, and tables on it: no colour, no lines, columns as wide as they need.

use std::io::{self, ErrorKind, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table, TableStyle};

/// An empty table; `align` is that of all columns but the first.
pub(super) fn table<const N: usize>(header: [&str; N], align: CellAlignment) -> Table {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index > 0 && align == CellAlignment::Right {
            column.set_cell_alignment(align);
        }
    }
    table
}

/// Standard output. Once its reader is gone, as `head` is, the rest goes nowhere: what a command does and its exit code
/// do not depend on who reads.
pub(super) fn stdout() -> impl Write {
    UntilClosed(io::stdout().lock())
}

/// Takes a closed pipe for an end, not for an error.
struct UntilClosed<W>(W);

impl<W: Write> Write for UntilClosed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.flush() {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn only_a_closed_pipe_is_no_error() {
        let mut closed = UntilClosed(Failing(ErrorKind::BrokenPipe));
        assert!(writeln!(closed, "text").is_ok() && closed.flush().is_ok());
        let mut full = UntilClosed(Failing(ErrorKind::StorageFull));
        assert!(writeln!(full, "text").is_err() && full.flush().is_err());
    }
}
