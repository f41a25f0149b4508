//! Masks: rules, edits, bits, pictures and their texts.

use proptest::prelude::*;
use unmasked::mask::{Bits, Edit, Mask, MaskFile, MaskSource, Rule};

fn rule(text: &str) -> Rule {
    text.parse().expect("a rule")
}

fn picture(text: &str, size: usize) -> Vec<String> {
    Mask::from(rule(text)).picture(0, 0, 0..size, size)
}

#[test]
fn rules_look_as_they_should() {
    assert_eq!(picture("full", 3), ["111", "111", "111"]);
    assert_eq!(picture("causal", 4), ["1000", "1100", "1110", "1111"]);
    assert_eq!(picture("prefix:2", 4), ["1100", "1100", "1110", "1111"]);
    assert_eq!(picture("prefix:0", 2), picture("causal", 2));
    assert_eq!(picture("window:1", 3), ["100", "010", "001"]);
    assert_eq!(picture("window:2", 4), ["1100", "1110", "0111", "0011"]);
    assert_eq!(picture("window:0", 2), ["00", "00"]);
    assert_eq!(picture("documents:2", 4), ["1100", "1100", "0011", "0011"]);
    assert_eq!(picture("documents:3,1", 4), ["1000", "0110", "0110", "0001"]);
    assert_eq!(picture("padding:3", 4), ["1110", "1110", "1110", "1110"]);
    assert_eq!(picture("causal+window:2", 4), ["1000", "1100", "0110", "0011"]);
    assert_eq!(picture("causal+documents:2+padding:3", 4), ["1000", "1100", "0010", "0010"]);
}

#[test]
fn the_rule_that_hides_a_cell_is_named() {
    let all = rule("causal+window:2");
    assert_eq!(all.hider(1, 3), Some(&Rule::Causal));
    assert_eq!(all.hider(3, 0), Some(&Rule::Window(2)));
    assert_eq!(all.hider(3, 3), None);
}

#[test]
fn wrong_rules_are_refused_by_name() {
    let hostile = [
        "",
        " ",
        "+",
        "full+",
        "+causal",
        "causal++full",
        "Full",
        "causal:1",
        "full:",
        "prefix",
        "prefix:",
        "prefix:-1",
        "prefix:1.5",
        "prefix:1,2",
        "prefix:99999999999999999999999",
        "window:1e3",
        "window:0x10",
        "documents",
        "documents:",
        "documents:,",
        "documents:1,,2",
        "documents:1;2",
        "padding:\u{661}",
        "padding: :3",
        "\u{202e}lausac",
        "full\0",
        "<script>",
    ];
    for text in hostile {
        let error = text.parse::<Rule>().expect_err(text).to_string();
        assert!(error.starts_with("mask rule: expected full, causal, prefix:N"), "{error}");
        assert!(!error.contains(['\0', '\u{202e}', '\n']), "{error:?} shows control characters");
    }
}

#[test]
fn a_later_edit_wins_and_named_ones_reach_only_their_head() {
    let mut mask = Mask::from(Rule::Causal);
    let edit = |row, key, visible, layer, head| Edit { row, key, visible, layer, head };
    mask.edits.push(edit(0, 2, true, None, None));
    mask.edits.push(edit(2, 0, false, Some(1), None));
    mask.edits.push(edit(2, 1, false, None, Some(0)));
    mask.edits.push(edit(0, 2, false, Some(0), Some(1)));
    assert_eq!(mask.picture(0, 0, 0..3, 3), ["101", "110", "101"]);
    assert_eq!(mask.picture(0, 1, 0..3, 3), ["100", "110", "111"]);
    assert_eq!(mask.picture(1, 0, 0..3, 3), ["101", "110", "001"]);
    assert_eq!(mask.picture(1, 1, 0..3, 3), ["101", "110", "011"]);
}

#[test]
fn heads_that_share_a_mask_share_a_plane() {
    let mut mask = Mask::from(Rule::Causal);
    let shared = mask.bits(&[3, 4, 9], 40, 6, 8);
    assert_eq!((shared.words, shared.planes.len()), (2, 3 * 2));
    assert_eq!(shared.plane, vec![0; 48]);
    mask.edits.push(Edit { row: 4, key: 39, visible: true, layer: Some(2), head: Some(5) });
    let bits = mask.bits(&[3, 4, 9], 40, 6, 8);
    assert_eq!(bits.planes.len(), 2 * 3 * 2);
    assert_eq!(bits.plane.iter().filter(|plane| **plane == 1).count(), 1);
    assert!(bits.visible(0, 2, 5, 1, 39));
}

#[test]
fn masks_without_rows_or_keys_are_empty() {
    let mask = Mask::from(Rule::Full);
    assert_eq!(mask.bits(&[], 5, 2, 2).planes, Vec::<u32>::new());
    assert_eq!(mask.bits(&[0, 1], 0, 2, 2).words, 0);
    assert!(Bits::stack(&[]).is_none());
    let empty = mask.bits(&[0, 1], 0, 2, 2);
    assert_eq!(Bits::stack(&[empty.clone(), empty]).map(|bits| bits.plane.len()), Some(8));
}

#[test]
fn bits_of_other_shapes_do_not_stack() {
    let mask = Mask::from(Rule::Causal);
    let bits = mask.bits(&[0, 1], 5, 2, 2);
    for other in [
        mask.bits(&[0], 5, 2, 2),
        mask.bits(&[0, 1], 6, 2, 2),
        mask.bits(&[0, 1], 5, 1, 2),
        mask.bits(&[0, 1], 5, 2, 3),
    ] {
        assert!(Bits::stack(&[bits.clone(), other]).is_none());
    }
}

#[test]
fn mask_files_come_in_three_forms() {
    let text = r#"{
        "encoder": "prefix:3",
        "decoder": ["100", "010", "111"],
        "cross": { "rule": "full", "edits": [ { "row": 1, "key": 0, "visible": false, "layer": 2, "head": null } ] }
    }"#;
    let file: MaskFile = serde_json::from_str(text).unwrap();
    let encoder = file.encoder.unwrap().mask(&Rule::Full).unwrap();
    assert_eq!(encoder, Mask::from(Rule::Prefix(3)));
    let decoder = file.decoder.unwrap().mask(&Rule::Causal).unwrap();
    assert_eq!(decoder.edits.len(), 1, "only the cell that departs from the rule");
    assert_eq!(decoder.picture(0, 0, 0..5, 5), ["10000", "01000", "11100", "11110", "11111"]);
    let cross = file.cross.unwrap().mask(&Rule::Full).unwrap();
    let cells = cross.cells();
    assert!(!cells.visible(2, 0, 1, 0) && cells.visible(1, 0, 1, 0));
}

#[test]
fn edits_alone_depart_from_the_models_own_rule() {
    let text = r#"{ "decoder": { "edits": [ { "row": 0, "key": 2, "visible": true } ] } }"#;
    let file: MaskFile = serde_json::from_str(text).unwrap();
    let of = |rule| file.decoder.clone().unwrap().mask(&rule).unwrap().picture(0, 0, 0..4, 4);
    assert_eq!(of(Rule::Causal), ["1010", "1100", "1110", "1111"]);
    assert_eq!(of(Rule::Prefix(2)), ["1110", "1100", "1110", "1111"]);
}

#[test]
fn wrong_mask_files_are_refused() {
    for text in [
        r#"{ "encoder": {} }"#,
        r#"{ "encoder": { "edits": [], "more": 1 } }"#,
        r#"{ "encodr": "full" }"#,
        r#"{ "encoder": 3 }"#,
        r#"{ "encoder": "fool" }"#,
        r#"{ "encoder": { "rule": "full", "edit": [] } }"#,
        r#"{ "encoder": { "rule": "full", "edits": [ { "row": -1, "key": 0, "visible": true } ] } }"#,
        r#"{ "encoder": { "rule": "full", "edits": [ { "row": 1, "key": 0 } ] } }"#,
        r#"{ "encoder": { "rule": "full", "edits": [ [ 1, 0, true, null, null ] ] } }"#,
        r#"{ "encoder": [ "full", [] ] }"#,
        r#"{ "encoder": [ [] ] }"#,
        r#"[ "full" ]"#,
    ] {
        assert!(serde_json::from_str::<MaskFile>(text).is_err(), "{text}");
    }
    let picture = MaskSource::Picture(vec!["10".into(), "1x".into()]);
    let error = picture.mask(&Rule::Full).unwrap_err().to_string();
    assert_eq!(error, "mask row 1, key 1: expected 0 or 1, got 'x'");
}

// ---- properties ------------------------------------------------------------------------------

fn any_single() -> impl Strategy<Value = Rule> {
    prop_oneof![
        Just(Rule::Full),
        Just(Rule::Causal),
        (0..50usize).prop_map(Rule::Prefix),
        (0..50usize).prop_map(Rule::Window),
        (0..50usize).prop_map(Rule::Padding),
        prop::collection::btree_set(0..50usize, 1..4)
            .prop_map(|starts| Rule::Documents(starts.into_iter().collect())),
    ]
}

fn any_rule() -> impl Strategy<Value = Rule> {
    prop_oneof![any_single(), prop::collection::vec(any_single(), 2..4).prop_map(Rule::All),]
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let scope = (prop::option::of(0..3usize), prop::option::of(0..3usize));
    (0..20usize, 0..80usize, any::<bool>(), scope)
        .prop_map(|(row, key, visible, (layer, head))| Edit { row, key, visible, layer, head })
}

fn any_mask() -> impl Strategy<Value = Mask> {
    (any_rule(), prop::collection::vec(any_edit(), 0..12))
        .prop_map(|(rule, edits)| Mask { rule, edits })
}

/// The rules once more, in other words.
fn sees(rule: &Rule, row: usize, key: usize) -> bool {
    let (first, last) = (row.min(key), row.max(key));
    match rule {
        Rule::Full => true,
        Rule::Causal => row >= key,
        Rule::Prefix(open) => !(key >= *open && key > row),
        Rule::Window(reach) => last - first < *reach,
        Rule::Documents(starts) => !starts.iter().any(|start| first < *start && *start <= last),
        Rule::Padding(real) => (0..*real).contains(&key),
        Rule::All(rules) => !rules.iter().any(|rule| !sees(rule, row, key)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rules_mean_what_they_say(rule in any_rule(), row in 0..60usize, key in 0..60usize) {
        prop_assert_eq!(rule.visible(row, key), sees(&rule, row, key));
        prop_assert_eq!(rule.hider(row, key).is_none(), rule.visible(row, key));
    }

    #[test]
    fn rules_survive_their_text(rule in any_rule()) {
        let text = rule.to_string();
        prop_assert_eq!(text.parse::<Rule>().unwrap(), rule.clone());
        let json = serde_json::to_string(&rule).unwrap();
        prop_assert_eq!(serde_json::from_str::<Rule>(&json).unwrap(), rule);
    }

    #[test]
    fn any_text_is_a_rule_or_an_error(text in "\\PC{0,20}|[a-z+:,0-9 ]{0,20}") {
        if let Ok(rule) = text.parse::<Rule>() {
            prop_assert_eq!(rule.to_string().parse::<Rule>().unwrap(), rule);
        }
    }

    #[test]
    fn bits_are_what_is_visible(
        mask in any_mask(),
        rows in prop::collection::btree_set(0..25usize, 0..8),
        keys in 0..80usize,
        (layers, heads) in (1..4usize, 1..4usize),
    ) {
        let rows: Vec<usize> = rows.into_iter().collect();
        let bits = mask.bits(&rows, keys, layers, heads);
        for layer in 0..layers {
            for head in 0..heads {
                let picture = mask.picture(layer, head, rows.iter().copied(), keys);
                for (index, row) in rows.iter().enumerate() {
                    for key in 0..keys {
                        let visible = mask.cells().visible(layer, head, *row, key);
                        prop_assert_eq!(bits.visible(0, layer, head, index, key), visible);
                        prop_assert_eq!(picture[index].as_bytes()[key] == b'1', visible);
                    }
                    let words = bits.row(0, layer, head, index);
                    let set: u32 = words.iter().map(|word| word.count_ones()).sum();
                    let seen = picture[index].bytes().filter(|cell| *cell == b'1').count();
                    prop_assert_eq!(set as usize, seen, "bits past the last key");
                }
            }
        }
    }

    #[test]
    fn stacked_bits_keep_their_variants(
        masks in prop::collection::vec(any_mask(), 1..4),
        keys in 1..50usize,
    ) {
        let rows = [0, 3, 7];
        let each: Vec<Bits> = masks.iter().map(|mask| mask.bits(&rows, keys, 2, 3)).collect();
        let all = Bits::stack(&each).unwrap();
        for (variant, mask) in masks.iter().enumerate() {
            for layer in 0..2 {
                for head in 0..3 {
                    for (index, row) in rows.iter().enumerate() {
                        for key in 0..keys {
                            prop_assert_eq!(
                                all.visible(variant, layer, head, index, key),
                                mask.cells().visible(layer, head, *row, key)
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_picture_is_the_mask_it_was_drawn_from(mask in any_mask(), size in 0..25usize) {
        let picture = mask.picture(1, 2, 0..size, size);
        let again = Mask::from_picture(&picture, mask.rule.clone()).unwrap();
        prop_assert_eq!(again.picture(0, 0, 0..size, size), picture);
        for past in [size, size + 3] {
            prop_assert_eq!(again.cells().visible(0, 0, past, 1), mask.rule.visible(past, 1));
        }
    }
}
