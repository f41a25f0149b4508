"""Random checkpoints for the bench, each twice: as Hugging Face lays it out, and as ONNX for peers that read that.
GPT-2 a third time, as GGUF.

    python tests/bench/models.py FOLDER

All forms hold the same numbers and compute the same function, so the ids that two engines choose can be compared. They
are worth comparing because they differ from row to row: positions weigh much (a random model says one token for ever where
they do not), and T5's tokens little, which its tied head would repeat.
The ONNX graphs are what an export gives, with logits of the last row only (which favours the peers in a prompt).
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import onnx
from gguf import GGUFWriter, LlamaFileType
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

WIDTH, HEADS, INNER, VOCABULARY, POSITIONS = 256, 8, 1024, 4096, 256
HEAD_WIDTH = WIDTH // HEADS
OPSET = 17
# [rows, inner, out] and how many such products one play makes: enough work to be timed.
SHAPES = [(64, 256, 1024, 16), (1, 256, 1024, 16), (128, 768, 3072, 2), (512, 512, 512, 4), (1024, 1024, 1024, 1)]

rng = np.random.default_rng(7)


def normal(*shape, deviation=None):
    deviation = deviation if deviation is not None else 1 / math.sqrt(shape[-1])
    return (rng.standard_normal(shape) * deviation).astype(np.float32)


class Net:
    """An ONNX graph in the making: every method adds nodes and returns the name of its output."""

    def __init__(self, name):
        self.name, self.nodes, self.weights, self.count = name, [], {}, 0

    def op(self, kind, *inputs, **attributes):
        self.count += 1
        out = f"{kind}_{self.count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], **attributes))
        return out

    def split(self, x, parts, axis):
        self.count += 1
        outs = [f"split_{self.count}_{part}" for part in range(parts)]
        self.nodes.append(helper.make_node("Split", [x], outs, axis=axis))
        return outs

    def weight(self, array):
        name = f"w{len(self.weights)}"
        self.weights[name] = np.array(array, order="C")
        return name

    def ints(self, *numbers):
        return self.weight(np.array(numbers, dtype=np.int64))

    def floats(self, number):
        return self.weight(np.array(number, dtype=np.float32))

    def integer(self, number):
        return self.weight(np.array(number, dtype=np.int64))

    def named(self, value, name):
        self.nodes.append(helper.make_node("Identity", [value], [name]))

    def linear(self, x, weight, bias=None, width=WIDTH):
        """weight [out, in], as most checkpoints have it."""
        if bias is None:
            return self.op("MatMul", x, self.weight(weight.T))
        flat = self.op("Reshape", x, self.ints(-1, weight.shape[1]))
        y = self.op("Gemm", flat, self.weight(weight.T), self.weight(bias))
        return self.op("Reshape", y, self.ints(1, -1, weight.shape[0]))

    def layer_norm(self, x, weight, bias, epsilon):
        return self.op("LayerNormalization", x, self.weight(weight), self.weight(bias), axis=-1, epsilon=epsilon)

    def rms_norm(self, x, weight, epsilon):
        square = self.op("Pow", x, self.floats(2.0))
        mean = self.op("ReduceMean", square, axes=[-1], keepdims=1)
        root = self.op("Sqrt", self.op("Add", mean, self.floats(epsilon)))
        return self.op("Mul", self.op("Div", x, root), self.weight(weight))

    def gelu(self, x):
        bent = self.op("Erf", self.op("Div", x, self.floats(math.sqrt(2))))
        bent = self.op("Add", bent, self.floats(1.0))
        return self.op("Mul", self.op("Mul", x, bent), self.floats(0.5))

    def gelu_tanh(self, x):
        cube = self.op("Pow", x, self.floats(3.0))
        inner = self.op("Add", x, self.op("Mul", cube, self.floats(0.044715)))
        bent = self.op("Tanh", self.op("Mul", inner, self.floats(math.sqrt(2 / math.pi))))
        bent = self.op("Add", bent, self.floats(1.0))
        return self.op("Mul", self.op("Mul", x, self.floats(0.5)), bent)

    def heads(self, x):
        split = self.op("Reshape", x, self.ints(1, -1, HEADS, HEAD_WIDTH))
        return self.op("Transpose", split, perm=[0, 2, 1, 3])

    def attend(self, q, k, v, scale=1.0, bias=None):
        scores = self.op("MatMul", q, self.op("Transpose", k, perm=[0, 1, 3, 2]))
        if scale != 1.0:
            scores = self.op("Mul", scores, self.floats(scale))
        if bias is not None:
            scores = self.op("Add", scores, bias)
        mixed = self.op("MatMul", self.op("Softmax", scores, axis=-1), v)
        return self.op("Reshape", self.op("Transpose", mixed, perm=[0, 2, 1, 3]), self.ints(1, -1, WIDTH))

    def length(self, x, axis):
        """The size of an axis, as a scalar."""
        return self.op("Gather", self.op("Shape", x), self.integer(axis), axis=0)

    def range(self, start, end):
        return self.op("Range", start, end, self.integer(1))

    def distances(self, ids, past):
        """Key minus row, [rows, keys], for rows that follow `past` cached ones."""
        before = self.length(past, 2) if past else self.integer(0)
        total = self.op("Add", before, self.length(ids, 1))
        rows = self.op("Unsqueeze", self.range(before, total), self.ints(1))
        keys = self.op("Unsqueeze", self.range(self.integer(0), total), self.ints(0))
        return self.op("Sub", keys, rows), self.range(before, total)

    def causal(self, distance):
        hidden = self.op("Greater", distance, self.integer(0))
        return self.op("Where", hidden, self.floats(-1e9), self.floats(0.0))

    def last_row(self, x):
        return self.op("Slice", x, self.ints(-1), self.ints(2**31), self.ints(1))

    def save(self, path, inputs, outputs):
        info = lambda entry: helper.make_tensor_value_info(entry[0], entry[1], entry[2])
        graph = helper.make_graph(
            self.nodes, self.name, [info(i) for i in inputs], [info(o) for o in outputs],
            [numpy_helper.from_array(array, name) for name, array in self.weights.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 8
        onnx.checker.check_model(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, path)


INT, FLOAT, BOOL = TensorProto.INT64, TensorProto.FLOAT, TensorProto.BOOL


def cache(direction, layer, part, keys):
    return (f"{direction}.{layer}.{part}", FLOAT, ["batch_size", HEADS, keys, HEAD_WIDTH])


def write(folder, config, tensors):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, folder / "model.safetensors")
    vocabulary = {f"t{index}": index for index in range(VOCABULARY)}
    # What an encoder fills.
    vocabulary["[MASK]"] = vocabulary.pop("t4")
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "t1"},
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def quiet(table, *ids):
    """Rows whose logit is 0, far below the largest: an id that ends a run is never chosen."""
    for row in ids:
        table[row] = 0
    return table


def gpt2(folder, layers=6):
    net = Net("gpt2")
    tokens, places = quiet(normal(VOCABULARY, WIDTH, deviation=0.3), 0), normal(POSITIONS, WIDTH, deviation=2.0)
    tensors = {"transformer.wte.weight": tokens, "transformer.wpe.weight": places}
    distance, rows = net.distances("input_ids", "past_key_values.0.key")
    mask = net.causal(distance)
    token_table = net.weight(tokens)
    x = net.op("Add", net.op("Gather", token_table, "input_ids"), net.op("Gather", net.weight(places), rows))
    ones, zeros = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)
    presents = []
    for layer in range(layers):
        stem = f"transformer.h.{layer}."
        parts = {
            "attn.c_attn": normal(3 * WIDTH, WIDTH), "attn.c_proj": normal(WIDTH, WIDTH),
            "mlp.c_fc": normal(INNER, WIDTH), "mlp.c_proj": normal(WIDTH, INNER),
        }
        biases = {name: normal(weight.shape[0], deviation=0.02) for name, weight in parts.items()}
        for name, weight in parts.items():
            tensors[f"{stem}{name}.weight"], tensors[f"{stem}{name}.bias"] = weight.T, biases[name]
        for name in ("ln_1", "ln_2"):
            tensors[f"{stem}{name}.weight"], tensors[f"{stem}{name}.bias"] = ones, zeros
        linear = lambda x, name: net.linear(x, parts[name], biases[name])
        joined = linear(net.layer_norm(x, ones, zeros, 1e-5), "attn.c_attn")
        q, k, v = (net.heads(part) for part in net.split(joined, 3, 2))
        k = net.op("Concat", f"past_key_values.{layer}.key", k, axis=2)
        v = net.op("Concat", f"past_key_values.{layer}.value", v, axis=2)
        net.named(k, f"present.{layer}.key")
        net.named(v, f"present.{layer}.value")
        x = net.op("Add", x, linear(net.attend(q, k, v, HEAD_WIDTH**-0.5, mask), "attn.c_proj"))
        inner = net.gelu_tanh(linear(net.layer_norm(x, ones, zeros, 1e-5), "mlp.c_fc"))
        x = net.op("Add", x, linear(inner, "mlp.c_proj"))
        presents += [cache("present", layer, part, "total") for part in ("key", "value")]
    tensors["transformer.ln_f.weight"], tensors["transformer.ln_f.bias"] = ones, zeros
    last = net.layer_norm(net.last_row(x), ones, zeros, 1e-5)
    net.named(net.op("MatMul", last, net.weight(tokens.T)), "logits")
    pasts = [cache("past_key_values", layer, part, "past") for layer in range(layers) for part in ("key", "value")]
    net.save(
        folder / "onnx/model.onnx", [("input_ids", INT, ["batch_size", "rows"]), *pasts],
        [("logits", FLOAT, ["batch_size", 1, VOCABULARY]), *presents],
    )
    write_gguf(folder, tensors, layers)
    write(folder, {
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "activation_function": "gelu_new",
        "n_embd": WIDTH, "n_head": HEADS, "n_layer": layers, "n_positions": POSITIONS, "vocab_size": VOCABULARY,
        "layer_norm_epsilon": 1e-5, "bos_token_id": 0, "eos_token_id": 0, "tie_word_embeddings": True,
    }, tensors)


def write_gguf(folder, tensors, layers):
    """GPT-2 as llama.cpp reads it: by names of its own, and every weight [out, in]; its head is tied where none is named."""
    writer = GGUFWriter(folder / "model.gguf", "gpt2")
    writer.add_file_type(LlamaFileType.ALL_F32)
    writer.add_context_length(POSITIONS)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_block_count(layers)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_eps(1e-5)
    # The one kind of tokenizer that needs nothing beside its tokens: it takes the longest that fits, so each ends in a space.
    writer.add_tokenizer_model("rwkv")
    writer.add_token_list([f"{index} " for index in range(VOCABULARY)])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    names = {"wte": "token_embd", "wpe": "position_embd", "ln_f": "output_norm"}
    parts = {
        "ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
        "ln_2": "ffn_norm", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down",
    }
    names |= {f"h.{layer}.{part}": f"blk.{layer}.{name}" for layer in range(layers) for part, name in parts.items()}
    for path, tensor in tensors.items():
        name, kind = path.removeprefix("transformer.").rsplit(".", 1)
        turned = tensor.T if ".c_" in name else tensor
        writer.add_tensor(f"{names[name]}.{kind}", np.ascontiguousarray(turned))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def bert(folder, layers=6):
    net = Net("bert")
    tensors, ones, zeros = {}, np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)
    tables = {
        "word": normal(VOCABULARY, WIDTH, deviation=0.3), "position": normal(POSITIONS, WIDTH, deviation=2.0),
        "token_type": normal(2, WIDTH, deviation=0.1),
    }
    for name, table in tables.items():
        tensors[f"bert.embeddings.{name}_embeddings.weight"] = table

    def norm(name):
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = ones, zeros

    def dense(x, name, out, inner):
        weight, bias = normal(out, inner), normal(out, deviation=0.02)
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = weight, bias
        return net.linear(x, weight, bias)

    rows = net.range(net.integer(0), net.length("input_ids", 1))
    x = net.op("Gather", net.weight(tables["word"]), "input_ids")
    x = net.op("Add", x, net.op("Gather", net.weight(tables["position"]), rows))
    x = net.op("Add", x, net.weight(tables["token_type"][0]))
    norm("bert.embeddings.LayerNorm")
    x = net.layer_norm(x, ones, zeros, 1e-12)
    for layer in range(layers):
        stem = f"bert.encoder.layer.{layer}."
        q, k, v = (net.heads(dense(x, f"{stem}attention.self.{part}", WIDTH, WIDTH)) for part in ("query", "key", "value"))
        mixed = net.attend(q, k, v, HEAD_WIDTH**-0.5)
        x = net.op("Add", x, dense(mixed, f"{stem}attention.output.dense", WIDTH, WIDTH))
        x = net.layer_norm(x, ones, zeros, 1e-12)
        inner = net.gelu(dense(x, f"{stem}intermediate.dense", INNER, WIDTH))
        x = net.op("Add", x, dense(inner, f"{stem}output.dense", WIDTH, INNER))
        x = net.layer_norm(x, ones, zeros, 1e-12)
        norm(f"{stem}attention.output.LayerNorm")
        norm(f"{stem}output.LayerNorm")
    x = net.layer_norm(net.gelu(dense(x, "cls.predictions.transform.dense", WIDTH, WIDTH)), ones, zeros, 1e-12)
    norm("cls.predictions.transform.LayerNorm")
    bias = tensors["cls.predictions.bias"] = np.zeros(VOCABULARY, np.float32)
    net.named(net.linear(x, tables["word"], bias), "logits")
    net.save(
        folder / "onnx/model.onnx", [("input_ids", INT, ["batch_size", "rows"])],
        [("logits", FLOAT, ["batch_size", "rows", VOCABULARY])],
    )
    write(folder, {
        "model_type": "bert", "architectures": ["BertForMaskedLM"], "hidden_act": "gelu", "hidden_size": WIDTH,
        "intermediate_size": INNER, "num_attention_heads": HEADS, "num_hidden_layers": layers, "layer_norm_eps": 1e-12,
        "max_position_embeddings": POSITIONS, "type_vocab_size": 2, "vocab_size": VOCABULARY, "pad_token_id": 0,
        "tie_word_embeddings": True,
    }, tensors)


def t5(folder, layers=3, buckets=32, far=128):
    tensors = {"shared.weight": quiet(normal(VOCABULARY, WIDTH, deviation=0.02), 0, 1)}
    ones = np.ones(WIDTH, np.float32)

    def bucket(distance, both_ways):
        """T5's bucket of `key - row`."""
        count, start = buckets, 0
        if both_ways:
            count //= 2
            start = count if distance > 0 else 0
            distance = abs(distance)
        else:
            distance = max(-distance, 0)
        exact = count // 2
        if distance < exact:
            return start + distance
        share = math.log(distance / exact) / math.log(far / exact)
        return start + min(exact + int(share * (count - exact)), count - 1)

    def bias(net, stack, distance):
        table = tensors[f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
        every = np.stack([table[bucket(d, stack == "encoder")] for d in range(1 - POSITIONS, POSITIONS)])
        found = net.op("Gather", net.weight(every), net.op("Add", distance, net.integer(POSITIONS - 1)))
        return net.op("Unsqueeze", net.op("Transpose", found, perm=[2, 0, 1]), net.ints(0))

    def matrix(name, out, inner, deviation=None):
        tensors[f"{name}.weight"] = normal(out, inner, deviation=deviation)
        return tensors[f"{name}.weight"]

    def norm(net, x, name):
        tensors[f"{name}.weight"] = ones
        return net.rms_norm(x, ones, 1e-6)

    def project(net, x, stem, part):
        # T5 does not scale its scores: its queries are small instead.
        small = 1 / math.sqrt(WIDTH * HEAD_WIDTH) if part == "q" else None
        return net.linear(x, matrix(f"{stem}.{part}", WIDTH, WIDTH, small))

    def feed_forward(net, x, stem):
        inner = net.op("Relu", net.linear(norm(net, x, f"{stem}.layer_norm"), matrix(f"{stem}.DenseReluDense.wi", INNER, WIDTH)))
        return net.op("Add", x, net.linear(inner, matrix(f"{stem}.DenseReluDense.wo", WIDTH, INNER)))

    for stack in ("encoder", "decoder"):
        matrix(f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias", buckets, HEADS, 0.1)

    net = Net("t5_encoder")
    x = net.op("Gather", net.weight(tensors["shared.weight"]), "input_ids")
    distance, _ = net.distances("input_ids", None)
    shared_bias = bias(net, "encoder", distance)
    for layer in range(layers):
        stem = f"encoder.block.{layer}.layer.0"
        normed = norm(net, x, f"{stem}.layer_norm")
        q, k, v = (net.heads(project(net, normed, f"{stem}.SelfAttention", part)) for part in "qkv")
        mixed = net.attend(q, k, v, bias=shared_bias)
        x = net.op("Add", x, net.linear(mixed, matrix(f"{stem}.SelfAttention.o", WIDTH, WIDTH)))
        x = feed_forward(net, x, f"encoder.block.{layer}.layer.1")
    net.named(norm(net, x, "encoder.final_layer_norm"), "last_hidden_state")
    net.save(
        folder / "onnx/encoder_model.onnx", [("input_ids", INT, ["batch_size", "rows"])],
        [("last_hidden_state", FLOAT, ["batch_size", "rows", WIDTH])],
    )

    net = Net("t5_decoder")
    x = net.op("Gather", net.weight(tensors["shared.weight"]), "input_ids")
    distance, _ = net.distances("input_ids", "past_key_values.0.decoder.key")
    shared_bias = net.op("Add", bias(net, "decoder", distance), net.causal(distance))
    presents, pasts = [], []
    for layer in range(layers):
        stem = f"decoder.block.{layer}.layer.0"
        normed = norm(net, x, f"{stem}.layer_norm")
        q, k, v = (net.heads(project(net, normed, f"{stem}.SelfAttention", part)) for part in "qkv")
        k = net.op("Concat", f"past_key_values.{layer}.decoder.key", k, axis=2)
        v = net.op("Concat", f"past_key_values.{layer}.decoder.value", v, axis=2)
        net.named(k, f"present.{layer}.decoder.key")
        net.named(v, f"present.{layer}.decoder.value")
        mixed = net.attend(q, k, v, bias=shared_bias)
        x = net.op("Add", x, net.linear(mixed, matrix(f"{stem}.SelfAttention.o", WIDTH, WIDTH)))
        stem = f"decoder.block.{layer}.layer.1"
        q = net.heads(project(net, norm(net, x, f"{stem}.layer_norm"), f"{stem}.EncDecAttention", "q"))
        seen = []
        for part, name in (("k", "key"), ("v", "value")):
            # The memory's keys and values are made once, then handed on.
            weight = matrix(f"{stem}.EncDecAttention.{part}", WIDTH, WIDTH)
            past, present = f"past_key_values.{layer}.encoder.{name}", f"present.{layer}.encoder.{name}"
            make, keep = Net("make"), Net("keep")
            make.count = keep.count = 10_000 * (layer + 1) + (5000 if part == "v" else 0)
            transposed = net.weight(weight.T)
            shape = net.ints(1, -1, HEADS, HEAD_WIDTH)
            made = make.op("MatMul", "encoder_hidden_states", transposed)
            made = make.op("Transpose", make.op("Reshape", made, shape), perm=[0, 2, 1, 3])
            kept = keep.op("Identity", past)
            out = lambda value: helper.make_tensor_value_info(value, FLOAT, None)
            branches = [helper.make_graph(branch.nodes, branch.name, [], [out(value)]) for branch, value in ((keep, kept), (make, made))]
            value = net.op("If", "use_cache_branch", then_branch=branches[0], else_branch=branches[1])
            net.named(value, present)
            seen.append(value)
        mixed = net.attend(q, *seen)
        x = net.op("Add", x, net.linear(mixed, matrix(f"{stem}.EncDecAttention.o", WIDTH, WIDTH)))
        x = feed_forward(net, x, f"decoder.block.{layer}.layer.2")
        for part in ("key", "value"):
            presents += [cache("present", layer, f"decoder.{part}", "total"), cache("present", layer, f"encoder.{part}", "memory")]
            pasts += [cache("past_key_values", layer, f"decoder.{part}", "past"), cache("past_key_values", layer, f"encoder.{part}", "past_memory")]
    last = net.op("Mul", norm(net, net.last_row(x), "decoder.final_layer_norm"), net.floats(WIDTH**-0.5))
    net.named(net.op("MatMul", last, net.weight(tensors["shared.weight"].T)), "logits")
    net.save(
        folder / "onnx/decoder_model_merged.onnx",
        [("input_ids", INT, ["batch_size", "rows"]), ("encoder_hidden_states", FLOAT, ["batch_size", "memory", WIDTH]),
         ("use_cache_branch", BOOL, [1]), *pasts],
        [("logits", FLOAT, ["batch_size", 1, VOCABULARY]), *presents],
    )
    write(folder, {
        "model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True,
        "d_model": WIDTH, "d_kv": HEAD_WIDTH, "d_ff": INNER, "num_heads": HEADS, "num_layers": layers,
        "num_decoder_layers": layers, "vocab_size": VOCABULARY, "feed_forward_proj": "relu",
        "relative_attention_num_buckets": buckets, "relative_attention_max_distance": far, "layer_norm_epsilon": 1e-6,
        "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1, "tie_word_embeddings": True,
    }, tensors)


def matmul(path, rows, inner, out, count):
    """Several products of the same rows; of each one row is brought back, as ours are measured."""
    net = Net("matmul")
    products = [net.op("MatMul", "x", net.weight(normal(inner, out))) for _ in range(count)]
    first = [net.op("Slice", product, net.ints(0), net.ints(1), net.ints(0)) for product in products]
    net.named(net.op("Concat", *first, axis=0) if count > 1 else first[0], "y")
    net.save(path, [("x", FLOAT, [rows, inner])], [("y", FLOAT, [count, out])])


def main(folder):
    gpt2(folder / "gpt2")
    bert(folder / "bert")
    t5(folder / "t5")
    for rows, inner, out, count in SHAPES:
        matmul(folder / f"matmul/{rows}x{inner}x{out}.onnx", rows, inner, out, count)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tests/bench/models.py FOLDER")
    main(Path(sys.argv[1]))
