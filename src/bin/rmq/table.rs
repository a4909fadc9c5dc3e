//! Tables for people. Pure.

/// Columns under their names, each as wide as it needs to be, two spaces apart; without spaces at the ends of lines.
pub(crate) fn table<const N: usize>(names: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = names.map(|name| name.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |cells: [&str; N]| {
        let cells: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(names)];
    lines.extend(rows.iter().map(|row| line(row.each_ref().map(String::as_str))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "1", "x"], ["题目 b", "1000", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(table(["NAME", "N", "END"], &rows), "NAME  N     END\na     1     x\n题目 b  1000");
        assert_eq!(table(["NAME", "N"], &[]), "NAME  N");
    }
}
