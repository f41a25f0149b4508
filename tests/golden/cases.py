"""The checkpoints that make.py builds."""

import transformers as hf


def declare(case):
    case(
        "gpt2",
        hf.GPT2LMHeadModel,
        hf.GPT2Config(
            vocab_size=61,
            n_positions=40,
            n_embd=27,
            n_layer=3,
            n_head=3,
            bos_token_id=1,
            eos_token_id=2,
        ),
    )
    case(
        "gpt2-switches",
        hf.GPT2LMHeadModel,
        hf.GPT2Config(
            vocab_size=50,
            n_positions=32,
            n_embd=30,
            n_layer=3,
            n_head=5,
            n_inner=47,
            activation_function="relu",
            scale_attn_weights=False,
            scale_attn_by_inverse_layer_idx=True,
            layer_norm_epsilon=1e-3,
            tie_word_embeddings=False,
            bos_token_id=1,
            eos_token_id=2,
        ),
        dtype="f16",
        shard="20KB",
    )
    case(
        "gpt2-bf16",
        hf.GPT2LMHeadModel,
        hf.GPT2Config(
            vocab_size=43,
            n_positions=24,
            n_embd=22,
            n_layer=2,
            n_head=2,
            activation_function="gelu",
            scale_attn_by_inverse_layer_idx=True,
            bos_token_id=None,
            eos_token_id=2,
        ),
        dtype="bf16",
        rename=lambda name: name.removeprefix("transformer."),
    )

    bert = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}
    pairs = ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1")
    encoder = dict(kind="encoder", tokens=bert, template=pairs, segments=(0, 1))
    small = dict(
        hidden_size=22, num_attention_heads=2, intermediate_size=31, max_position_embeddings=30
    )
    case(
        "bert",
        hf.BertForMaskedLM,
        hf.BertConfig(vocab_size=61, num_hidden_layers=3, **small),
        rename=old_names,
        **encoder,
    )
    case(
        "bert-pretraining",
        hf.BertForPreTraining,
        hf.BertConfig(vocab_size=47, num_hidden_layers=2, hidden_act="gelu_new", **small),
        head="pretraining",
        dtype="bf16",
        **encoder,
    )
    case(
        "bert-classes",
        hf.BertForSequenceClassification,
        hf.BertConfig(vocab_size=45, num_hidden_layers=2, num_labels=3, **small),
        head="classes",
        dtype="f16",
        shard="12KB",
        **encoder,
    )

    case(
        "unilm",
        hf.BertForMaskedLM,
        hf.BertConfig(vocab_size=48, num_hidden_layers=2, type_vocab_size=6, **small),
        prefix=5,
        **{**encoder, "template": pairs[:1]},
    )
    case(
        "unilm-pair",
        hf.BertForMaskedLM,
        hf.BertConfig(vocab_size=46, num_hidden_layers=2, type_vocab_size=6, **small),
        prefix=8,
        dtype="f16",
        rewrite=unilm,
        **{**encoder, "segments": (4, 5)},
    )
    case(
        "bert-next",
        hf.BertForNextSentencePrediction,
        hf.BertConfig(vocab_size=44, num_hidden_layers=1, **small),
        head="pair",
        **encoder,
    )

    llama = dict(
        hidden_size=30,
        num_attention_heads=6,
        intermediate_size=37,
        max_position_embeddings=64,
        bos_token_id=1,
        eos_token_id=2,
    )
    causal = dict(tokens={"<unk>": 0, "<s>": 1, "</s>": 2}, template=("<s> $A",))
    case(
        "llama",
        hf.LlamaForCausalLM,
        hf.LlamaConfig(vocab_size=53, num_hidden_layers=3, head_dim=6, num_key_value_heads=3, **llama),
        **causal,
    )
    case(
        "llama-3",
        hf.LlamaForCausalLM,
        hf.LlamaConfig(
            vocab_size=51,
            num_hidden_layers=2,
            head_dim=10,
            num_key_value_heads=1,
            tie_word_embeddings=True,
            attention_bias=True,
            mlp_bias=True,
            rope_parameters={
                "rope_type": "llama3",
                "rope_theta": 500.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 16,
            },
            **{**llama, "eos_token_id": [2, 3]},
        ),
        dtype="bf16",
        shard="30KB",
    )
    for kind, more in {
        "linear": {"factor": 2.5},
        "dynamic": {"factor": 2.0},
        "yarn": {"factor": 4.0, "original_max_position_embeddings": 16},
    }.items():
        case(
            f"llama-{kind}",
            hf.LlamaForCausalLM,
            hf.LlamaConfig(
                vocab_size=41,
                num_hidden_layers=1,
                num_key_value_heads=2,
                head_dim=12,
                rope_parameters={"rope_type": kind, "rope_theta": 1000.0, **more},
                **llama,
            ),
            rewrite=old_rope,
        )

    t5 = dict(tokens={"<pad>": 0, "</s>": 1, "<unk>": 2}, template=("$A </s>",), start=[0])
    case(
        "t5",
        hf.T5ForConditionalGeneration,
        hf.T5Config(
            vocab_size=53,
            d_model=22,
            d_kv=7,
            d_ff=29,
            num_layers=1,
            num_decoder_layers=2,
            num_heads=3,
            relative_attention_num_buckets=8,
            relative_attention_max_distance=14,
            decoder_start_token_id=0,
        ),
        **t5,
    )
    case(
        "t5-gated",
        hf.T5ForConditionalGeneration,
        hf.T5Config(
            vocab_size=50,
            d_model=20,
            d_kv=6,
            d_ff=27,
            num_layers=2,
            num_decoder_layers=1,
            num_heads=4,
            relative_attention_num_buckets=10,
            relative_attention_max_distance=20,
            feed_forward_proj="gated-gelu",
            tie_word_embeddings=False,
            decoder_start_token_id=0,
        ),
        untie=["lm_head"],
        rewrite=lambda settings: {**settings, "tie_word_embeddings": False},
        dtype="f16",
        shard="30KB",
        **t5,
    )

    case(
        "mt5",
        hf.MT5ForConditionalGeneration,
        hf.MT5Config(
            vocab_size=46,
            d_model=18,
            d_kv=5,
            d_ff=21,
            num_layers=1,
            num_heads=2,
            feed_forward_proj="gated-silu",
            decoder_start_token_id=0,
        ),
        untie=["lm_head"],
        rewrite=lambda settings: {**settings, "tie_word_embeddings": False},
        dtype="bf16",
        **t5,
    )

    bart = dict(
        d_model=20,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=4,
        encoder_ffn_dim=23,
        decoder_ffn_dim=27,
        max_position_embeddings=30,
    )
    noise = dict(tokens={"<s>": 0, "<pad>": 1, "</s>": 2}, template=("<s> $A </s>",))
    case(
        "bart",
        hf.BartForConditionalGeneration,
        hf.BartConfig(vocab_size=51, **bart),
        start=[2],
        **noise,
    )
    case(
        "bart-forced",
        hf.BartForConditionalGeneration,
        hf.BartConfig(
            vocab_size=46,
            scale_embedding=True,
            activation_function="relu",
            **{**bart, "encoder_layers": 2, "decoder_layers": 1},
        ),
        start=[2, 0],
        rewrite=lambda settings: {**settings, "forced_bos_token_id": 0},
        rename=lambda name: name.removeprefix("model."),
        dtype="f16",
        **noise,
    )

    case(
        "bart-bare",
        hf.BartForConditionalGeneration,
        hf.BartConfig(vocab_size=41, **{**bart, "decoder_layers": 1}),
        start=[2],
        zero=["final_logits_bias"],
        rewrite=lambda settings: {**settings, "architectures": ["BartModel"]},
        rename=bare,
        dtype="bf16",
        **noise,
    )

    case(
        "roberta",
        hf.RobertaForMaskedLM,
        hf.RobertaConfig(
            vocab_size=49, num_hidden_layers=2, type_vocab_size=1, layer_norm_eps=1e-5, **small
        ),
        kind="encoder",
        tokens={"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4},
        template=("<s> $A </s>", "<s> $A </s> </s> $B </s>"),
    )
    case(
        "roberta-classes",
        hf.RobertaForSequenceClassification,
        hf.RobertaConfig(
            vocab_size=43, num_hidden_layers=1, type_vocab_size=1, num_labels=5, **small
        ),
        kind="encoder",
        head="classes",
        dtype="bf16",
    )
    for name in ("XLMRoberta", "Camembert"):
        case(
            name.lower().replace("xlm", "xlm-"),
            getattr(hf, f"{name}ForMaskedLM"),
            getattr(hf, f"{name}Config")(
                vocab_size=41, num_hidden_layers=1, type_vocab_size=1, **small
            ),
            kind="encoder",
            dtype="f16",
        )
    case(
        "distilbert",
        hf.DistilBertForMaskedLM,
        hf.DistilBertConfig(
            vocab_size=47,
            dim=18,
            n_layers=2,
            n_heads=3,
            hidden_dim=25,
            max_position_embeddings=26,
        ),
        **{**encoder, "segments": False},
    )
    case(
        "distilbert-classes",
        hf.DistilBertForSequenceClassification,
        hf.DistilBertConfig(
            vocab_size=41,
            dim=18,
            n_layers=1,
            n_heads=2,
            hidden_dim=25,
            max_position_embeddings=26,
            num_labels=2,
        ),
        head="classes",
        dtype="f16",
        **{**encoder, "segments": False},
    )
    albert = dict(embedding_size=13, **small)
    case(
        "albert",
        hf.AlbertForPreTraining,
        hf.AlbertConfig(vocab_size=55, num_hidden_layers=4, num_hidden_groups=2, **albert),
        head="pretraining",
        **encoder,
    )
    case(
        "albert-masked",
        hf.AlbertForMaskedLM,
        hf.AlbertConfig(vocab_size=50, num_hidden_layers=3, **albert),
        dtype="bf16",
        **encoder,
    )
    case(
        "albert-classes",
        hf.AlbertForSequenceClassification,
        hf.AlbertConfig(vocab_size=42, num_hidden_layers=2, num_labels=4, **albert),
        head="classes",
        **encoder,
    )
    electra = dict(embedding_size=14, **small)
    case(
        "electra-generator",
        hf.ElectraForMaskedLM,
        hf.ElectraConfig(vocab_size=51, num_hidden_layers=2, **electra),
        **encoder,
    )
    case(
        "electra-discriminator",
        hf.ElectraForPreTraining,
        hf.ElectraConfig(vocab_size=46, num_hidden_layers=2, hidden_act="relu", **electra),
        head="replaced",
        dtype="f16",
        **encoder,
    )
    case(
        "electra-classes",
        hf.ElectraForSequenceClassification,
        hf.ElectraConfig(
            vocab_size=41, num_hidden_layers=1, num_labels=3, **{**electra, "embedding_size": 22}
        ),
        head="classes",
        **encoder,
    )

    neox = dict(hidden_size=36, num_attention_heads=3, intermediate_size=41, eos_token_id=2)
    case(
        "gpt-neox",
        hf.GPTNeoXForCausalLM,
        hf.GPTNeoXConfig(
            vocab_size=51,
            num_hidden_layers=2,
            max_position_embeddings=40,
            rope_parameters={
                "rope_type": "default",
                "rope_theta": 10000.0,
                "partial_rotary_factor": 0.5,
            },
            **neox,
        ),
    )
    case(
        "gpt-neox-sequential",
        hf.GPTNeoXForCausalLM,
        hf.GPTNeoXConfig(
            vocab_size=46,
            num_hidden_layers=1,
            max_position_embeddings=40,
            use_parallel_residual=False,
            attention_bias=False,
            tie_word_embeddings=True,
            **{**neox, "hidden_size": 48},
        ),
        rewrite=old_neox,
        dtype="f16",
    )
    qwen = {**llama, "num_key_value_heads": 2}
    case(
        "qwen2",
        hf.Qwen2ForCausalLM,
        hf.Qwen2Config(vocab_size=47, num_hidden_layers=2, **{**qwen, "hidden_size": 36}),
        dtype="bf16",
    )
    case(
        "qwen3",
        hf.Qwen3ForCausalLM,
        hf.Qwen3Config(
            vocab_size=47, num_hidden_layers=2, head_dim=10, tie_word_embeddings=True, **qwen
        ),
    )
    case(
        "gemma",
        hf.GemmaForCausalLM,
        hf.GemmaConfig(
            vocab_size=47,
            num_hidden_layers=2,
            head_dim=14,
            num_key_value_heads=1,
            **{name: value for name, value in llama.items() if name != "num_key_value_heads"},
        ),
        **causal,
    )
    case(
        "gemma-first",
        hf.GemmaForCausalLM,
        hf.GemmaConfig(
            vocab_size=43,
            num_hidden_layers=1,
            head_dim=10,
            num_key_value_heads=2,
            hidden_act="gelu",
            **llama,
        ),
        dtype="bf16",
        rewrite=first_gemma,
    )
    case(
        "glm",
        hf.GlmForCausalLM,
        hf.GlmConfig(
            vocab_size=47,
            num_hidden_layers=2,
            head_dim=12,
            pad_token_id=0,
            **{**qwen, "hidden_size": 26},
        ),
    )
    case(
        "mbart",
        hf.MBartForConditionalGeneration,
        hf.MBartConfig(vocab_size=49, scale_embedding=True, decoder_start_token_id=2, **bart),
        start=[2],
        **noise,
    )
    case(
        "marian",
        hf.MarianMTModel,
        hf.MarianConfig(
            vocab_size=49,
            scale_embedding=True,
            activation_function="swish",
            decoder_start_token_id=48,
            pad_token_id=48,
            eos_token_id=0,
            forced_eos_token_id=0,
            **bart,
        ),
        start=[48],
        tokens={"</s>": 0, "<unk>": 1, "<pad>": 48},
        template=("$A </s>",),
        dtype="f16",
    )


def old_names(name):
    """As the first BERT checkpoints have it."""
    name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
    return name.replace("LayerNorm.bias", "LayerNorm.beta")


def unilm(settings):
    """As microsoft/unilm names it; its code has no class that a config could name."""
    del settings["architectures"]
    return {**settings, "model_type": "unilm"}


def first_gemma(settings):
    """As the first files of Gemma have it; the reference reads the approximation out of it."""
    assert settings["hidden_act"] == "gelu_pytorch_tanh"
    return {**settings, "hidden_act": "gelu", "hidden_activation": None}


def bare(name):
    """As a model without its head is stored."""
    return None if name == "final_logits_bias" else name.removeprefix("model.")


def old_rope(settings):
    """As configs spelt it before version 5."""
    rope = dict(settings.pop("rope_parameters"))
    settings["rope_theta"] = rope.pop("rope_theta")
    rope["type"] = rope.pop("rope_type")
    settings["rope_scaling"] = rope
    settings["torch_dtype"] = settings.pop("dtype")
    return settings


def old_neox(settings):
    """As Pythia's configs have it."""
    rope = settings.pop("rope_parameters")
    settings["rotary_emb_base"] = int(rope["rope_theta"])
    settings["rotary_pct"] = rope["partial_rotary_factor"]
    return settings
