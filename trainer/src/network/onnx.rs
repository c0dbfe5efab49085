//! The few messages of ONNX that a network of Weir needs, the graph it is, and its weights out of a file again.
//!
//! Field numbers are those of `onnx.proto` (IR version 8); what Weir does not write it does not read.

use super::weights::{NAMES, Weights};
use prost::Message;
use runtime::inference::{INPUTS, OUTPUTS};

/// Version of the messages.
const IR_VERSION: i64 = 8;
/// Version of the operators.
const OPSET: i64 = 17;
/// Element types.
const FLOAT: i32 = 1;
const INT32: i32 = 6;
const INT64: i32 = 7;
/// Attribute types.
const ATTRIBUTE_INT: i32 = 2;
/// Name of the dimension that is as long as there are questions.
const BATCH: &str = "questions";

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(string, tag = "2")]
    producer_name: String,
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSet>,
}

#[derive(Clone, PartialEq, Message)]
struct OperatorSet {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Node>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorData>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfo>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, tag = "3")]
    i: i64,
    #[prost(int32, tag = "20")]
    r#type: i32,
}

#[derive(Clone, PartialEq, Message)]
struct TensorData {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct ValueInfo {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    r#type: Option<ValueType>,
}

#[derive(Clone, PartialEq, Message)]
struct ValueType {
    #[prost(message, optional, tag = "1")]
    tensor_type: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorType {
    #[prost(int32, tag = "1")]
    elem_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(int64, optional, tag = "1")]
    dim_value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    dim_param: Option<String>,
}

/// The ONNX file of a network.
pub(super) fn write(weights: &Weights) -> Vec<u8> {
    let slots = weights.slots as i64;
    let width = engine::neural::STATE as i64;
    let mut initializer: Vec<TensorData> = weights
        .tensors()
        .map(|(name, dims, data)| TensorData {
            dims: dims.iter().map(|d| *d as i64).collect(),
            data_type: FLOAT,
            name: name.to_owned(),
            raw_data: data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        })
        .collect();
    let thirds = [width; 3].iter().flat_map(|x| x.to_le_bytes()).collect();
    initializer.push(TensorData { dims: vec![3], data_type: INT64, name: "thirds".to_owned(), raw_data: thirds });
    let [previous, gap, state] = INPUTS;
    let [next, state_after] = OUTPUTS;
    let graph = Graph {
        name: "foresight".to_owned(),
        node: nodes(),
        initializer,
        input: vec![value(previous, INT32, &[]), value(gap, INT32, &[]), value(state, FLOAT, &[width])],
        output: vec![value(next, FLOAT, &[slots]), value(state_after, FLOAT, &[width])],
    };
    let opset_import = vec![OperatorSet { domain: String::new(), version: OPSET }];
    Model { ir_version: IR_VERSION, producer_name: "weir".to_owned(), graph: Some(graph), opset_import }.encode_to_vec()
}

/// A gated recurrent unit over embedded steps, and the log-probabilities of the next step.
fn nodes() -> Vec<Node> {
    let [previous, gap, state] = INPUTS;
    let [next, state_after] = OUTPUTS;
    let [steps, gaps, w_in, b_in, w_state, b_state, w_out, b_out] = NAMES;
    vec![
        node("Gather", &[steps, previous], &["step"]),
        node("Gather", &[gaps, gap], &["pause"]),
        node("Add", &["step", "pause"], &["seen"]),
        node("Gemm", &["seen", w_in, b_in], &["in"]),
        node("Gemm", &[state, w_state, b_state], &["kept"]),
        along(node("Split", &["in", "thirds"], &["in_r", "in_z", "in_n"])),
        along(node("Split", &["kept", "thirds"], &["kept_r", "kept_z", "kept_n"])),
        node("Add", &["in_r", "kept_r"], &["sum_r"]),
        node("Sigmoid", &["sum_r"], &["r"]),
        node("Add", &["in_z", "kept_z"], &["sum_z"]),
        node("Sigmoid", &["sum_z"], &["z"]),
        node("Mul", &["r", "kept_n"], &["reset"]),
        node("Add", &["in_n", "reset"], &["sum_n"]),
        node("Tanh", &["sum_n"], &["n"]),
        node("Sub", &[state, "n"], &["change"]),
        node("Mul", &["z", "change"], &["stays"]),
        node("Add", &["n", "stays"], &[state_after]),
        node("Gemm", &[state_after, w_out, b_out], &["logits"]),
        along(node("LogSoftmax", &["logits"], &[next])),
    ]
}

fn node(op: &str, input: &[&str], output: &[&str]) -> Node {
    let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    Node { input: owned(input), output: owned(output), name: output.concat(), op_type: op.to_owned(), attribute: Vec::new() }
}

/// Along the second axis.
fn along(mut node: Node) -> Node {
    node.attribute.push(Attribute { name: "axis".to_owned(), i: 1, r#type: ATTRIBUTE_INT });
    node
}

fn value(name: &str, elem_type: i32, rest: &[i64]) -> ValueInfo {
    let batch = Dimension { dim_value: None, dim_param: Some(BATCH.to_owned()) };
    let fixed = rest.iter().map(|d| Dimension { dim_value: Some(*d), dim_param: None });
    let shape = Some(Shape { dim: std::iter::once(batch).chain(fixed).collect() });
    ValueInfo { name: name.to_owned(), r#type: Some(ValueType { tensor_type: Some(TensorType { elem_type, shape }) }) }
}

/// The weights of a network that [`write`] wrote; `None` for any other file.
pub(super) fn read(onnx: &[u8], slots: usize) -> Option<Weights> {
    let graph = Model::decode(onnx).ok()?.graph?;
    Weights::gather(slots, |name| {
        let tensor = graph.initializer.iter().find(|t| t.name == name && t.data_type == FLOAT)?;
        let dims = tensor.dims.iter().map(|d| usize::try_from(*d).ok()).collect::<Option<Vec<usize>>>()?;
        let (floats, rest) = tensor.raw_data.as_chunks::<4>();
        rest.is_empty().then(|| (dims, floats.iter().map(|b| f32::from_le_bytes(*b)).collect()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_come_back_from_the_file_and_damage_gives_none() {
        let weights = Weights::random(9, 4);
        let file = write(&weights);
        assert_eq!(read(&file, 9).as_ref(), Some(&weights));
        assert_eq!(read(&file, 8), None, "other slots");
        assert_eq!(read(&file[..file.len() / 2], 9), None);
        assert_eq!(read(b"something else", 9), None);
    }
}
