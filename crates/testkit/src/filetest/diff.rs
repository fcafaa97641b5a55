//! What differs between two texts, line by line.

use std::fmt::Write as _;

/// Lines around a difference that are shown with it.
const CONTEXT: usize = 3;

/// The difference as text: lines of `old` only after a minus sign, lines of `new` only after a plus.
pub(super) fn lines(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    // Longest common subsequence of what is left after each pair of lines.
    let width = new.len() + 1;
    let mut common = vec![0u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i * width + j] = if old[i] == new[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let mut marked = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            marked.push((' ', old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len()
            || (i < old.len() && common[(i + 1) * width + j] >= common[i * width + j + 1])
        {
            marked.push(('-', old[i]));
            i += 1;
        } else {
            marked.push(('+', new[j]));
            j += 1;
        }
    }
    let mut out = String::new();
    let mut shown = 0;
    for (at, (mark, line)) in marked.iter().enumerate() {
        let near = &marked[at.saturating_sub(CONTEXT)..marked.len().min(at + CONTEXT + 1)];
        if near.iter().any(|(mark, _)| *mark != ' ') {
            if shown != at {
                out.push_str("  ...\n");
            }
            shown = at + 1;
            let _ = writeln!(out, "{mark} {line}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn lines_that_stay_are_left_out() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\n";
        let new = "a\nb\nc\nd\ne\nX\ng\nh\ni\n";
        let wanted = "  ...\n  c\n  d\n  e\n- f\n+ X\n  g\n  h\n+ i\n";
        assert_eq!(super::lines(old, new), wanted);
        assert_eq!(super::lines(old, old), "");
        assert_eq!(super::lines("", "a\n"), "+ a\n");
        assert_eq!(super::lines("a\n", ""), "- a\n");
    }
}
