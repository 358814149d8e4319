//! Tables on the console: no colour, no lines, columns as wide as they need.

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
