//! Tables `our name -> their name`, with a place for the layer.

use super::Has;

/// One row of a table. A row speaks of a whole name (`head.bias`) or of a stem, to which `.weight`
/// or `.bias` is added; `{}` stands for the layer. Several rows of one name are alternatives.
pub type Row = (&'static str, &'static str);

/// Finds where a checkpoint keeps one of our tensors: the first alternative that it `has`, with or
/// without `prefix` (files of a bare model leave it out). Where it has none, the first: an error
/// will name it.
pub fn find(table: &[Row], prefix: &str, ours: &str, has: Has<'_>) -> String {
    let mut first = None;
    for theirs in candidates(table, ours) {
        let bare = theirs.strip_prefix(prefix).unwrap_or(&theirs);
        for name in [theirs.as_str(), bare, &format!("{prefix}{theirs}")] {
            if has(name) {
                return name.to_string();
            }
        }
        first.get_or_insert(theirs);
    }
    first.unwrap_or_else(|| ours.to_string())
}

fn candidates<'a>(table: &'a [Row], ours: &'a str) -> impl Iterator<Item = String> + 'a {
    let (stem, kind) = ours.rsplit_once('.').unwrap_or((ours, ""));
    table.iter().filter_map(move |(pattern, theirs)| {
        if let Some(layer) = matches(pattern, ours) {
            return Some(theirs.replace("{}", layer));
        }
        let layer = matches(pattern, stem)?;
        Some(format!("{}.{kind}", theirs.replace("{}", layer)))
    })
}

/// The layer of a name that has the form of a pattern; empty where the pattern has no place for one.
fn matches<'a>(pattern: &str, name: &'a str) -> Option<&'a str> {
    let Some((before, after)) = pattern.split_once("{}") else {
        return (pattern == name).then_some("");
    };
    let layer = name.strip_prefix(before)?.strip_suffix(after)?;
    (!layer.is_empty() && layer.bytes().all(|byte| byte.is_ascii_digit())).then_some(layer)
}
