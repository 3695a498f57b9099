//! The one look of a table: a header with a line under it, two spaces between columns, numbers to the right.
//!
//! Owns the crate that lays tables out. No colour, no frames: the text is as good in a ticket as in a terminal.

use comfy_table::{CellAlignment, ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle};

use super::{View, words::plain};

/// One space where columns meet, a line under the header, nothing else.
const LOOK: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none().junction(' '))
    .header_separator(LineStyle::none().fill('-').junction(' '))
    .content_lines(ContentLineStyle::none().junction(' '));

/// Below this many columns a table leaves out what the `show` command tells.
const WIDE: u16 = 150;
/// A longer key is broken all the same, so that it does not take the terminal for itself.
const LONGEST_WHOLE: usize = 32;

/// Whether the terminal is too small for all columns; a file or a pipe never is.
pub(super) fn narrow(view: &View) -> bool {
    view.width.is_some_and(|width| width < WIDE)
}

/// A table being filled.
pub(super) struct Grid {
    table: Table,
    columns: Vec<Column<'static>>,
    /// For [`Grid::or`].
    rows: usize,
}

/// What a column holds.
#[derive(Clone, Copy)]
pub(super) struct Column<'a> {
    name: &'a str,
    alignment: CellAlignment,
    /// Not broken over lines: people copy it.
    whole: bool,
}

/// A column that holds text.
pub(super) const fn text(name: &'static str) -> Column<'static> {
    Column { name, alignment: CellAlignment::Left, whole: false }
}

/// A column that holds keys or words that people copy.
pub(super) const fn word(name: &'static str) -> Column<'static> {
    Column { whole: true, ..text(name) }
}

/// A column that holds numbers or lengths.
pub(super) const fn number(name: &'static str) -> Column<'static> {
    Column { alignment: CellAlignment::Right, ..text(name) }
}

impl Grid {
    pub(super) fn new(view: &View, columns: &[Column<'static>]) -> Self {
        let mut grid = Self::bare(view);
        grid.table.set_header(columns.iter().map(|column| column.name).collect::<Vec<_>>());
        for (column, wanted) in grid.table.column_iter_mut().zip(columns) {
            column.set_cell_alignment(wanted.alignment);
        }
        grid.columns = columns.to_vec();
        grid.tighten();
        grid
    }

    /// Without a header: names and values.
    fn bare(view: &View) -> Self {
        let mut table = Table::new();
        table.force_no_tty();
        table.load_style(LOOK);
        match view.width {
            Some(width) => {
                table.set_content_arrangement(ContentArrangement::Dynamic);
                table.set_width(width);
            }
            None => {
                table.set_content_arrangement(ContentArrangement::Disabled);
            }
        }
        Self { table, columns: Vec::new(), rows: 0 }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().map(|cell| plain(&cell)).collect();
        for (column, cell) in self.columns.iter_mut().zip(&cells) {
            column.whole &= cell.chars().count() <= LONGEST_WHOLE;
        }
        self.table.add_row(cells);
        self.rows += 1;
    }

    /// The table, or this sentence when it has no row.
    pub(super) fn or(mut self, nothing: &str) -> String {
        if self.rows == 0 { format!("{nothing}\n") } else { self.text() }
    }

    pub(super) fn text(&mut self) -> String {
        for (column, wanted) in self.table.column_iter_mut().zip(&self.columns) {
            if wanted.whole {
                column.set_constraint(comfy_table::ColumnConstraint::ContentWidth);
            }
        }
        let mut text = String::new();
        for line in self.table.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// No space before the first column, two between columns: one of ours, one of the joint.
    fn tighten(&mut self) {
        for column in self.table.column_iter_mut() {
            column.set_padding((0, 1));
        }
    }
}

/// Names and values under each other. Values of `None` are left out.
pub(super) fn facts<'a>(view: &View, facts: impl IntoIterator<Item = (&'a str, Option<String>)>) -> String {
    let mut grid = Grid::bare(view);
    for (name, value) in facts {
        if let Some(value) = value {
            grid.row([name.to_owned(), value]);
        }
    }
    grid.tighten();
    if let Some(names) = grid.table.column_mut(0) {
        names.set_constraint(comfy_table::ColumnConstraint::ContentWidth);
    }
    grid.text()
}
