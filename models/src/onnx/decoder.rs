//! ML-Decoder's layers in ONNX. Matrices have no dimension for the batch, which is 1.

use crate::network::Layer;
use crate::weights::Tensor;

use super::graph::{Graph, int, ints};

/// Each row of `input` brought to mean 0 and variance 1, then times scale plus shift.
pub(super) fn push_layer_norm(
    graph: &mut Graph,
    name: &str,
    input: &str,
    epsilon: f32,
    [scale, shift]: [&str; 2],
    output: &str,
) -> String {
    let step = |step: &str| format!("{name}.{step}");
    let epsilon = graph.floats(step("epsilon"), &[], &[epsilon]);
    let mut node = |op_type: &str, inputs: &[&str], output: &str| {
        let attributes = match op_type {
            "ReduceMean" => vec![ints("axes", &[1]), int("keepdims", 1)],
            _ => vec![],
        };
        graph.node(op_type, &step(output), inputs, &step(output), attributes)
    };
    let mean = node("ReduceMean", &[input], "mean");
    let centred = node("Sub", &[input, &mean], "centred");
    let squares = node("Mul", &[&centred, &centred], "squares");
    let variance = node("ReduceMean", &[&squares], "variance");
    let guarded = node("Add", &[&variance, &epsilon], "guarded_variance");
    let deviation = node("Sqrt", &[&guarded], "deviation");
    let normalised = node("Div", &[&centred, &deviation], "normalised");
    let scaled = node("Mul", &[&normalised, scale], "scaled");
    graph.node("Add", name, &[&scaled, shift], output, vec![])
}

/// softmax(q k / sqrt(d)) v, each head by itself.
pub(super) fn push_attention(
    graph: &mut Graph,
    layer: &Layer,
    heads: usize,
    inputs: &[&str],
    output: &str,
) -> String {
    let name = &layer.name;
    let step = |step: &str| format!("{name}.{step}");
    let width = layer.output.channels();
    let queries = layer.output.elements() / width;
    let [heads, queries, width] = [heads, queries, width].map(|size| size as i64);
    let by_head = graph.int64s(step("query_shape"), &[queries, heads, width / heads]);
    let of_map = graph.int64s(step("map_shape"), &[heads, width / heads, -1]);
    let joined = graph.int64s(step("output_shape"), &[queries, width]);
    let scale = (width as f32 / heads as f32).sqrt().recip();
    let scale = graph.floats(step("scale"), &[], &[scale]);

    let mut node = |op_type: &str, inputs: &[&str], output: &str, attributes| {
        graph.node(op_type, &step(output), inputs, &step(output), attributes)
    };
    let transposed = |order: [usize; 3]| vec![ints("perm", &order)];
    let query = node("Mul", &[inputs[0], &scale], "scaled_query", vec![]);
    let query = node("Reshape", &[&query, &by_head], "query_by_head", vec![]);
    let query = node("Transpose", &[&query], "queries", transposed([1, 0, 2]));
    let keys = node("Reshape", &[inputs[1], &of_map], "keys", vec![]);
    let values = node(
        "Reshape",
        &[inputs[2], &of_map],
        "values_by_channel",
        vec![],
    );
    let values = node("Transpose", &[&values], "values", transposed([0, 2, 1]));
    let scores = node("MatMul", &[&query, &keys], "scores", vec![]);
    let axis = vec![int("axis", 2)];
    let coefficients = node("Softmax", &[&scores], "coefficients", axis);
    let answers = node("MatMul", &[&coefficients, &values], "answers", vec![]);
    let order = transposed([1, 0, 2]);
    let answers = node("Transpose", &[&answers], "answers_by_query", order);
    graph.node("Reshape", name, &[&answers, &joined], output, vec![])
}

/// Row q of `rows` times matrix q of `weight`; the products side by side, cut to the number of labels.
pub(super) fn push_groups(
    graph: &mut Graph,
    name: &str,
    rows: &str,
    weight_name: &str,
    weight: &Tensor,
    labels: usize,
    output: &str,
) -> String {
    let step = |step: &str| format!("{name}.{step}");
    let (queries, width, group) = (weight.shape[0], weight.shape[1], weight.shape[2]);
    let single = graph.int64s(step("row_shape"), &[queries as i64, 1, width as i64]);
    let side_by_side = graph.int64s(step("logits_shape"), &[1, (queries * group) as i64]);
    let reshaped = step("rows");
    graph.node("Reshape", &reshaped, &[rows, &single], &reshaped, vec![]);
    let products = step("products");
    let factors = [reshaped.as_str(), weight_name];
    graph.node("MatMul", &products, &factors, &products, vec![]);
    let all = if queries * group == labels {
        output.to_string()
    } else {
        step("all")
    };
    let inputs = [products.as_str(), side_by_side.as_str()];
    graph.node("Reshape", &step("side_by_side"), &inputs, &all, vec![]);
    if all == output {
        return all;
    }
    let start = graph.int64s(step("start"), &[0]);
    let end = graph.int64s(step("end"), &[labels as i64]);
    let axis = graph.int64s(step("axis"), &[1]);
    let inputs = [all.as_str(), &start, &end, &axis];
    graph.node("Slice", &step("slice"), &inputs, output, vec![])
}
