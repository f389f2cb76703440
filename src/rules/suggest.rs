//! "Did you mean": the known name that is nearest to a misspelt one.

/// Returns the name of `known` that `word` was probably meant to be.
///
/// One letter may differ, and one more for every four letters of the word; two swapped neighbours count as one difference.
pub(in crate::rules) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    let most = 1 + length / 4;
    let near = |candidate: &&str| candidate.chars().count().abs_diff(length) <= most;
    known
        .into_iter()
        .filter(near)
        .map(|candidate| (strsim::osa_distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_and_a_far_one_is_not() {
        let known = ["reply", "replace", "note"];
        assert_eq!(did_you_mean("rply", known), Some("reply"));
        assert_eq!(did_you_mean("repyl", known), Some("reply"), "swapped letters are one difference");
        assert_eq!(did_you_mean("send", known), None);
    }
}
