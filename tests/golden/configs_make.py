"""Settings of well-known checkpoints, typed after their public files (nothing was fetched), and how
many numbers the reference says such a model has.

    python tests/golden/configs_make.py

Writes `configs.json`. No weights are needed: the reference builds its models without memory. Models
that it does not have are counted by the shapes of their released code.
"""

import copy
import json
from pathlib import Path

import torch
import transformers

TRAINED = {"attention_probs_dropout_prob": 0.1, "hidden_dropout_prob": 0.1, "initializer_range": 0.02}
LABELS = {
    "_num_labels": 3,
    "id2label": {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"},
    "label2id": {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2},
}
NOTES = {"torch_dtype": "float32", "transformers_version": "4.41.2", "use_cache": True}


def gpt2(name="GPT2LMHeadModel", **more):
    return name, {
        "model_type": "gpt2", "activation_function": "gelu_new", "attn_pdrop": 0.1,
        "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05, "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12,
        "n_positions": 1024, "resid_pdrop": 0.1, "summary_activation": None,
        "summary_first_dropout": 0.1, "summary_proj_to_labels": True, "summary_type": "cls_index",
        "summary_use_proj": True, "vocab_size": 50257,
        "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}}, **more,
    }  # fmt: skip


def bert(name, kind, **more):
    return name, {
        "model_type": kind, **TRAINED, "hidden_act": "gelu", "hidden_size": 768,
        "intermediate_size": 3072, "layer_norm_eps": 1e-12, "max_position_embeddings": 512,
        "num_attention_heads": 12, "num_hidden_layers": 12, "pad_token_id": 0, "type_vocab_size": 2,
        "vocab_size": 30522, **more,
    }  # fmt: skip


def llama(name, kind, **more):
    return name, {
        "model_type": kind, "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2,
        "hidden_act": "silu", "initializer_range": 0.02, "rms_norm_eps": 1e-05, **NOTES, **more,
    }  # fmt: skip


def t5(name="T5ForConditionalGeneration", kind="t5", **more):
    return name, {
        "model_type": kind, "d_kv": 64, "d_model": 512, "decoder_start_token_id": 0,
        "dropout_rate": 0.1, "eos_token_id": 1, "initializer_factor": 1.0, "is_encoder_decoder": True,
        "layer_norm_epsilon": 1e-06, "n_positions": 512, "output_past": True, "pad_token_id": 0,
        "relative_attention_num_buckets": 32, "vocab_size": 32128,
        "task_specific_params": {"summarization": {"prefix": "summarize: "}}, **more,
    }  # fmt: skip


def bart(name, kind, **more):
    return name, {
        "model_type": kind, "activation_dropout": 0.1, "activation_function": "gelu",
        "add_bias_logits": False, "add_final_layer_norm": False, "attention_dropout": 0.1,
        "bos_token_id": 0, "classif_dropout": 0.1, "classifier_dropout": 0.0, "d_model": 768,
        "decoder_attention_heads": 12, "decoder_ffn_dim": 3072, "decoder_layerdrop": 0.0,
        "decoder_layers": 6, "decoder_start_token_id": 2, "dropout": 0.1,
        "encoder_attention_heads": 12, "encoder_ffn_dim": 3072, "encoder_layerdrop": 0.0,
        "encoder_layers": 6, "eos_token_id": 2, "forced_eos_token_id": 2, "init_std": 0.02,
        "is_encoder_decoder": True, "max_position_embeddings": 1024, "normalize_before": False,
        "normalize_embedding": True, "num_beams": 4, "num_hidden_layers": 6, "pad_token_id": 1,
        "scale_embedding": False, "vocab_size": 50265, **LABELS, **NOTES, **more,
    }  # fmt: skip


FIRST_TOOLS = {
    "directionality": "bidi", "pooler_fc_size": 768, "pooler_num_attention_heads": 12,
    "pooler_num_fc_layers": 3, "pooler_size_per_head": 128, "pooler_type": "first_token_transform",
}  # fmt: skip

CONFIGS = {
    "gpt2": gpt2(),
    "distilgpt2": gpt2(n_layer=6, **LABELS),
    "bert-base-uncased": bert("BertForMaskedLM", "bert", gradient_checkpointing=False, position_embedding_type="absolute", use_cache=True, transformers_version="4.6.0.dev0"),
    "bert-base-chinese": bert("BertForMaskedLM", "bert", vocab_size=21128, **FIRST_TOOLS),
    "bert-base-pretraining": bert("BertForPreTraining", "bert"),
    "roberta-base": bert("RobertaForMaskedLM", "roberta", bos_token_id=0, eos_token_id=2, layer_norm_eps=1e-05, max_position_embeddings=514, pad_token_id=1, type_vocab_size=1, vocab_size=50265),
    "xlm-roberta-base": bert("XLMRobertaForMaskedLM", "xlm-roberta", bos_token_id=0, eos_token_id=2, layer_norm_eps=1e-05, max_position_embeddings=514, output_past=True, pad_token_id=1, type_vocab_size=1, vocab_size=250002),
    "albert-base-v2": bert("AlbertForMaskedLM", "albert", attention_probs_dropout_prob=0, hidden_dropout_prob=0, bos_token_id=2, classifier_dropout_prob=0.1, down_scale_factor=1, embedding_size=128, eos_token_id=3, gap_size=0, hidden_act="gelu_new", inner_group_num=1, net_structure_type=0, num_hidden_groups=1, num_memory_blocks=0, vocab_size=30000),
    "electra-small-discriminator": bert("ElectraForPreTraining", "electra", embedding_size=128, hidden_size=256, intermediate_size=1024, num_attention_heads=4),
    "camembert-base": bert("CamembertForMaskedLM", "camembert", bos_token_id=5, eos_token_id=6, layer_norm_eps=1e-05, max_position_embeddings=514, output_past=True, pad_token_id=1, type_vocab_size=1, vocab_size=32005),
    "electra-small-generator": bert("ElectraForMaskedLM", "electra", generator_size="0.25", embedding_size=128, hidden_size=256, intermediate_size=1024, num_attention_heads=4, summary_activation="gelu", summary_last_dropout=0.1, summary_type="first", summary_use_proj=True),
    "distilbert-base-uncased": ("DistilBertForMaskedLM", {"model_type": "distilbert", "activation": "gelu", "attention_dropout": 0.1, "dim": 768, "dropout": 0.1, "hidden_dim": 3072, "initializer_range": 0.02, "max_position_embeddings": 512, "n_heads": 12, "n_layers": 6, "pad_token_id": 0, "qa_dropout": 0.1, "seq_classif_dropout": 0.2, "sinusoidal_pos_embds": False, "tie_weights_": True, "transformers_version": "4.10.0.dev0", "vocab_size": 30522}),
    "distilbert-sst2": ("DistilBertForSequenceClassification", {"model_type": "distilbert", "activation": "gelu", "attention_dropout": 0.1, "dim": 768, "dropout": 0.1, "finetuning_task": "sst-2", "hidden_dim": 3072, "id2label": {"0": "NEGATIVE", "1": "POSITIVE"}, "label2id": {"NEGATIVE": 0, "POSITIVE": 1}, "initializer_range": 0.02, "max_position_embeddings": 512, "n_heads": 12, "n_layers": 6, "output_past": True, "pad_token_id": 0, "qa_dropout": 0.1, "seq_classif_dropout": 0.2, "sinusoidal_pos_embds": False, "tie_weights_": True, "vocab_size": 30522}),
    "pythia-70m": ("GPTNeoXForCausalLM", {"model_type": "gpt_neox", "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "gelu", "hidden_size": 512, "initializer_range": 0.02, "intermediate_size": 2048, "layer_norm_eps": 1e-05, "max_position_embeddings": 2048, "num_attention_heads": 8, "num_hidden_layers": 6, "rotary_emb_base": 10000, "rotary_pct": 0.25, "tie_word_embeddings": False, "use_parallel_residual": True, "vocab_size": 50304, **NOTES}),
    "SmolLM-135M": llama("LlamaForCausalLM", "llama", attention_bias=False, bos_token_id=0, eos_token_id=0, hidden_size=576, intermediate_size=1536, max_position_embeddings=2048, num_attention_heads=9, num_hidden_layers=30, num_key_value_heads=3, pretraining_tp=1, rope_scaling=None, rope_theta=10000.0, tie_word_embeddings=True, vocab_size=49152),
    "SmolLM2-135M": llama("LlamaForCausalLM", "llama", attention_bias=False, bos_token_id=0, eos_token_id=0, hidden_size=576, intermediate_size=1536, is_llama_config=True, max_position_embeddings=8192, mlp_bias=False, num_attention_heads=9, num_hidden_layers=30, num_key_value_heads=3, pretraining_tp=1, rope_interleaved=False, rope_scaling=None, rope_theta=100000, tie_word_embeddings=True, vocab_size=49152),
    "TinyLlama-1.1B": llama("LlamaForCausalLM", "llama", hidden_size=2048, intermediate_size=5632, max_position_embeddings=2048, num_attention_heads=32, num_hidden_layers=22, num_key_value_heads=4, pretraining_tp=1, rope_scaling=None, tie_word_embeddings=False, vocab_size=32000),
    "Llama-3.2-1B-Instruct": llama("LlamaForCausalLM", "llama", attention_bias=False, bos_token_id=128000, eos_token_id=[128001, 128008, 128009], head_dim=64, hidden_size=2048, intermediate_size=8192, max_position_embeddings=131072, mlp_bias=False, num_attention_heads=32, num_hidden_layers=16, num_key_value_heads=8, pretraining_tp=1, rope_scaling={"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192, "rope_type": "llama3"}, rope_theta=500000.0, tie_word_embeddings=True, vocab_size=128256),
    "llama-7b": llama("LlamaForCausalLM", "llama", hidden_size=4096, intermediate_size=11008, max_position_embeddings=2048, max_sequence_length=2048, num_attention_heads=32, num_hidden_layers=32, pad_token_id=0, rms_norm_eps=1e-06, tie_word_embeddings=False, vocab_size=32000),
    "Qwen2.5-0.5B": llama("Qwen2ForCausalLM", "qwen2", bos_token_id=151643, eos_token_id=151643, hidden_size=896, intermediate_size=4864, max_position_embeddings=32768, max_window_layers=24, num_attention_heads=14, num_hidden_layers=24, num_key_value_heads=2, rms_norm_eps=1e-06, rope_theta=1000000.0, sliding_window=32768, tie_word_embeddings=True, use_mrope=False, use_sliding_window=False, vocab_size=151936),
    "Qwen3-0.6B": llama("Qwen3ForCausalLM", "qwen3", attention_bias=False, bos_token_id=151643, eos_token_id=151645, head_dim=128, hidden_size=1024, intermediate_size=3072, max_position_embeddings=40960, max_window_layers=28, num_attention_heads=16, num_hidden_layers=28, num_key_value_heads=8, rms_norm_eps=1e-06, rope_scaling=None, rope_theta=1000000, sliding_window=None, tie_word_embeddings=True, use_sliding_window=False, vocab_size=151936),
    "gemma-2b": llama("GemmaForCausalLM", "gemma", attention_bias=False, bos_token_id=2, eos_token_id=1, head_dim=256, hidden_act="gelu", hidden_activation=None, hidden_size=2048, intermediate_size=16384, max_position_embeddings=8192, num_attention_heads=8, num_hidden_layers=18, num_key_value_heads=1, pad_token_id=0, rms_norm_eps=1e-06, rope_scaling=None, rope_theta=10000.0, vocab_size=256000),
    "glm-4-9b": llama("GlmForCausalLM", "glm", attention_bias=True, bos_token_id=None, eos_token_id=[151329, 151336, 151338], head_dim=128, hidden_size=4096, intermediate_size=13696, max_position_embeddings=8192, num_attention_heads=32, num_hidden_layers=40, num_key_value_heads=2, pad_token_id=151329, partial_rotary_factor=0.5, rms_norm_eps=1.5625e-07, rope_theta=10000.0, tie_word_embeddings=False, vocab_size=151552),
    "t5-small": t5(d_ff=2048, num_heads=8, num_layers=6),
    "flan-t5-small": t5(d_ff=1024, feed_forward_proj="gated-gelu", num_heads=6, num_layers=8, num_decoder_layers=8, tie_word_embeddings=False, transformers_version="4.23.1"),
    "t5-v1_1-base": t5(d_ff=2048, d_model=768, dense_act_fn="gelu_new", feed_forward_proj="gated-gelu", is_gated_act=True, num_heads=12, num_layers=12, relative_attention_max_distance=128, tie_word_embeddings=False, classifier_dropout=0.0),
    "mt5-small": t5("MT5ForConditionalGeneration", "mt5", d_ff=1024, feed_forward_proj="gated-gelu", num_heads=6, num_layers=8, num_decoder_layers=8, tie_word_embeddings=False, tokenizer_class="T5Tokenizer", vocab_size=250112),
    "bart-base": bart("BartForConditionalGeneration", "bart", architectures=["BartModel"], early_stopping=True, gradient_checkpointing=False, no_repeat_ngram_size=3, forced_bos_token_id=0),
    "bart-large-cnn": bart("BartForConditionalGeneration", "bart", d_model=1024, encoder_layers=12, decoder_layers=12, encoder_attention_heads=16, decoder_attention_heads=16, encoder_ffn_dim=4096, decoder_ffn_dim=4096, num_hidden_layers=12, force_bos_token_to_be_generated=True, forced_bos_token_id=0, length_penalty=2.0, max_length=142, min_length=56, output_past=True, prefix=" ", vocab_size=50264),
    "mbart-large-50": bart("MBartForConditionalGeneration", "mbart", add_final_layer_norm=True, normalize_before=True, scale_embedding=True, static_position_embeddings=False, d_model=1024, encoder_layers=12, decoder_layers=12, num_hidden_layers=12, encoder_attention_heads=16, decoder_attention_heads=16, encoder_ffn_dim=4096, decoder_ffn_dim=4096, vocab_size=250054),
    "opus-mt-en-fr": bart("MarianMTModel", "marian", activation_function="swish", bad_words_ids=[[59513]], d_model=512, encoder_attention_heads=8, decoder_attention_heads=8, encoder_ffn_dim=2048, decoder_ffn_dim=2048, decoder_start_token_id=59513, decoder_vocab_size=59514, eos_token_id=0, forced_eos_token_id=0, max_length=512, max_position_embeddings=512, normalize_embedding=False, pad_token_id=59513, scale_embedding=True, share_encoder_decoder_embeddings=True, static_position_embeddings=True, vocab_size=59514),
}  # fmt: skip



def chatglm(parameters, **more):
    return parameters, {
        "model_type": "chatglm", "architectures": ["ChatGLMModel"], "hidden_size": 4096,
        "auto_map": {"AutoConfig": "configuration_chatglm.ChatGLMConfig"}, "layernorm_epsilon": 1e-05,
        "num_attention_heads": 32, "num_layers": 28, "torch_dtype": "float16", "use_cache": True, **more,
    }  # fmt: skip


def block(width, inner):
    """A block of the first GLM and ChatGLM: two norms, four square matrices, a feed-forward, biases."""
    return 4 * width + 4 * (width * width + width) + 2 * width * inner + inner + width


def grouped(width, columns, kept, inner):
    """A block of ChatGLM2: shared keys and values with biases, a gated feed-forward, two gains."""
    return 2 * width + (width + 1) * (columns + 2 * kept) + columns * width + 3 * width * inner


# What transformers does not have: how many numbers the shapes of the released code come to.
OUTSIDE = {
    "chatglm-6b": chatglm(130528 * 4096 + 28 * block(4096, 16384) + 2 * 4096, bos_token_id=130004, eos_token_id=130005, gmask_token_id=130001, inner_hidden_size=16384, mask_token_id=130000, max_sequence_length=2048, pad_token_id=3, position_encoding_2d=True, pre_seq_len=None, prefix_projection=False, quantization_bit=0, transformers_version="4.23.1", vocab_size=130528),
    "chatglm2-6b": chatglm(2 * 65024 * 4096 + 28 * grouped(4096, 4096, 256, 13696) + 4096, add_bias_linear=False, add_qkv_bias=True, apply_query_key_layer_scaling=True, apply_residual_connection_post_layernorm=False, attention_dropout=0.0, attention_softmax_in_fp32=True, bias_dropout_fusion=True, eos_token_id=2, ffn_hidden_size=13696, fp32_residual_connection=False, hidden_dropout=0.0, kv_channels=128, multi_query_attention=True, multi_query_group_num=2, original_rope=True, pad_token_id=0, padded_vocab_size=65024, post_layer_norm=True, quantization_bit=0, rmsnorm=True, seq_length=32768, tie_word_embeddings=False, transformers_version="4.27.1"),
    "glm-10b": (50304 * 4096 + 2 * 1025 * 4096 + 48 * block(4096, 4 * 4096) + 2 * 4096, {"model_type": "glm", "architectures": ["GLMModel"], "attention_dropout_prob": 0.1, "attention_scale": 1.0, "auto_map": {"AutoConfig": "configuration_glm.GLMConfig"}, "block_position_encoding": True, "checkpoint_activations": False, "checkpoint_num_layers": 1, "embedding_dropout_prob": 0.1, "hidden_size": 4096, "initializer_range": 0.02, "max_sequence_length": 1024, "num_attention_heads": 64, "num_layers": 48, "output_dropout_prob": 0.1, "output_predict": True, "parallel_output": True, "pool_token": "cls", "relative_encoding": False, "spell_func": "lstm", "spell_length": None, "torch_dtype": "float32", "transformers_version": "4.23.1", "use_scaled_init_for_output_weights": True, "vocab_size": 50304}),
}  # fmt: skip

if __name__ == "__main__":
    written = {}
    for name, (model_class, settings) in CONFIGS.items():
        model_class = getattr(transformers, model_class)
        settings = {**settings, "architectures": settings.pop("architectures", [model_class.__name__])}
        # It writes into what it reads.
        config = model_class.config_class.from_dict(copy.deepcopy(settings))
        with torch.device("meta"):
            model = model_class._from_config(config)
        tensors = {id(tensor): (key, tensor) for key, tensor in model.named_parameters()}
        tensors |= {id(buffer): (key, buffer) for key, buffer in model.named_buffers() if key.endswith("final_logits_bias")}
        # Sines are computed; Hugging Face keeps a matrix for T5's untied outputs only in the file.
        fixed = config.model_type == "marian"
        count = sum(t.numel() for key, t in tensors.values() if not (fixed and "embed_positions" in key))
        if config.model_type in ("t5", "mt5") and settings.get("tie_word_embeddings") is False:
            count += config.vocab_size * config.d_model
        written[name] = {"parameters": count, "config": settings}
        print(name, count)
    for name, (count, settings) in OUTSIDE.items():
        written[name] = {"parameters": count, "config": settings}
        print(name, count)
    file = {"generator": f"transformers {transformers.__version__}", "configs": written}
    (Path(__file__).parent / "configs.json").write_text(json.dumps(file, indent=1) + "\n")
