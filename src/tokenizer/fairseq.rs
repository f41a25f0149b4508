//! `sentencepiece.bpe.model`: pieces of SentencePiece under fairseq's numbers, as XLM-R, CamemBERT and
//! mBART have them. fairseq puts its own special tokens first, and a family's stand behind the pieces.
//! Layouts and templates are those of transformers 5.23 (`convert_slow_tokenizer.py`).

use serde_json::Value as Json;

use super::class::refused;
use super::file::{broken, clip, quote};
use super::pieces::{Model, Parts, Piece, Use};
use crate::error::Result;

pub const NAME: &str = "sentencepiece.bpe.model";

/// The languages of mBART, in the order of their numbers.
const MBART: &str = "ar_AR cs_CZ de_DE en_XX es_XX et_EE fi_FI fr_XX gu_IN hi_IN it_IT ja_XX kk_KZ \
     ko_KR lt_LT lv_LV my_MM ne_NP nl_XX ro_RO ru_RU si_LK tr_TR vi_VN zh_CN";
/// Those that mBART-50 has behind them.
const MBART_50: &str = "af_ZA az_AZ bn_IN fa_IR he_IL hr_HR id_ID ka_GE km_KH mk_MK ml_IN mn_MN mr_IN \
     pl_PL ps_AF pt_XX sv_SE sw_KE ta_IN te_IN th_TH tl_XX uk_UA ur_PK xh_ZA gl_ES sl_SI";

/// The `tokenizer.json` of a model of this class.
pub fn tokenizer(model: &[u8], class: Option<&str>, settings: &Json) -> Result<Json> {
    let mut model = Model::read(NAME, model)?;
    let own: Vec<&str> = model.pieces.iter().take(3).map(|piece| piece.text.as_str()).collect();
    if own != ["<unk>", "<s>", "</s>"] {
        let got = format!("{:?}", own.iter().map(|name| clip(name)).collect::<Vec<String>>());
        return Err(broken(NAME, "`<unk>`, `<s>` and `</s>` as its first pieces", &got));
    }
    let piece = |text: &str, usage| Piece { text: text.into(), score: 0.0, usage };
    let special = |text: &str| piece(text, Use::Control);
    let unknown = piece("<unk>", Use::Unknown);
    let languages: Vec<&str> = match class {
        Some("XLMRobertaTokenizer") => vec![],
        Some("CamembertTokenizer") => {
            // Its own pieces stay where they are in the model, behind four of fairseq's and one that nobody uses.
            let first = [special("<s>NOTUSED"), special("<pad>"), special("</s>NOTUSED"), unknown];
            let unused = special("<unk>NOTUSED");
            model.pieces.splice(..1, first.into_iter().chain([unused]));
            model.push("<mask>", Use::Control);
            return around(&model, &["<s>"], &["</s>"], &["</s>", "</s>"]);
        }
        Some("MBartTokenizer") => MBART.split(' ').collect(),
        Some("MBart50Tokenizer") => MBART.split(' ').chain(MBART_50.split(' ')).collect(),
        class => {
            let expected = "XLMRobertaTokenizer, CamembertTokenizer, MBartTokenizer or MBart50Tokenizer \
                 for its `sentencepiece.bpe.model`";
            return Err(refused(expected, class.unwrap_or("none")));
        }
    };
    model.pieces.splice(..3, [special("<s>"), special("<pad>"), special("</s>"), unknown]);
    languages.iter().for_each(|language| model.push(*language, Use::Control));
    model.push("<mask>", Use::Control);
    if languages.is_empty() {
        return around(&model, &["<s>"], &["</s>"], &["</s>", "</s>"]);
    }
    let source = settings["src_lang"].as_str().unwrap_or("en_XX");
    if !languages.contains(&source) {
        let expected = format!("as `src_lang` one of its {} languages", languages.len());
        return Err(broken("tokenizer_config.json", &expected, &quote(source)));
    }
    match class {
        Some("MBart50Tokenizer") => around(&model, &[source], &["</s>"], &[]),
        _ => around(&model, &[], &["</s>", source], &[]),
    }
}

/// The model, with these tokens before and behind a text and between two.
fn around(model: &Model, first: &[&str], last: &[&str], between: &[&str]) -> Result<Json> {
    let parts = Parts { first, last, between: Some(between), by_words: true, ..Parts::default() };
    let mut json = model.json(NAME, parts)?;
    for token in json["added_tokens"].as_array_mut().into_iter().flatten() {
        // A blank stands for its word and the space before it.
        token["lstrip"] = (token["content"] == "<mask>").into();
    }
    Ok(json)
}
