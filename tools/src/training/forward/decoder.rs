//! ML-Decoder's operations.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

/// Each row brought to mean 0 and variance 1.
pub(super) fn standardise(rows: Tensor<2>, epsilon: f32) -> Tensor<2> {
    let centred = rows.clone() - rows.mean_dim(1);
    let variance = centred.clone().powi_scalar(2).mean_dim(1);
    centred / (variance + epsilon).sqrt()
}

/// softmax(q k / sqrt(d)) v in each of `heads` parts of the features, `drop` applied to the softmax: of
/// queries \[count * rows, features\] and maps of keys and values \[features, count * pixels\]. Returns \[count * rows, features\].
pub(super) fn attend(
    heads: usize,
    count: usize,
    queries: Tensor<2>,
    keys: Tensor<2>,
    values: Tensor<2>,
    drop: impl FnOnce(Tensor<4>) -> Tensor<4>,
) -> Tensor<2> {
    let [features, columns] = keys.dims();
    let part = features / heads;
    let rows = queries.dims()[0] / count;
    let queries = queries.reshape([count, rows, heads, part]);
    let queries = queries.swap_dims(1, 2);
    // photos, heads, features, pixels
    let by_head = |map: Tensor<2>| {
        let parts = map.reshape([heads, part, count, columns / count]);
        parts.permute([2, 0, 1, 3])
    };
    let scores = queries.matmul(by_head(keys)) / (part as f64).sqrt();
    let coefficients = drop(softmax(scores, 3));
    let answers = coefficients.matmul(by_head(values).swap_dims(2, 3));
    answers.swap_dims(1, 2).reshape([count * rows, features])
}

/// Row q of each photo times matrix q of `weight`, a flat tensor of rows x features x labels per row; the products of
/// a photo side by side, cut to `labels`.
pub(super) fn grouped(
    labels: usize,
    count: usize,
    rows: Tensor<2>,
    weight: Tensor<1>,
) -> Tensor<2> {
    let [all, features] = rows.dims();
    let queries = all / count;
    let group = weight.dims()[0] / (queries * features);
    let rows = rows.reshape([count, queries, features]).swap_dims(0, 1);
    let products = rows.matmul(weight.reshape([queries, features, group]));
    let side_by_side = products.swap_dims(0, 1).reshape([count, queries * group]);
    side_by_side.narrow(1, 0, labels)
}
