//! The few messages of ONNX that a network of Weir needs, and its weights out of a file again.
//!
//! Field numbers are those of `onnx.proto` (IR version 8); what Weir does not write it does not read.

use super::weights::{Layout, Weights};
use prost::Message;

/// Version of the messages.
const IR_VERSION: i64 = 8;
/// Version of the operators.
const OPSET: i64 = 17;
/// Element types.
pub(super) const FLOAT: i32 = 1;
pub(super) const INT32: i32 = 6;
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
pub(super) struct Node {
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

/// What a file has besides weights.
pub(super) struct Shell<'s> {
    pub(super) name: &'s str,
    pub(super) nodes: Vec<Node>,
    /// Named lists of numbers that nodes ask for.
    pub(super) lists: &'s [(&'s str, &'s [i64])],
    /// Name, element type and shape of one question.
    pub(super) input: &'s [(&'s str, i32, &'s [i64])],
    /// The same of one answer.
    pub(super) output: &'s [(&'s str, i32, &'s [i64])],
}

/// The ONNX file of a network.
pub(super) fn write(weights: &Weights, shell: Shell<'_>) -> Vec<u8> {
    let floats = weights.tensors().map(|(name, dims, data)| TensorData {
        dims: dims.iter().map(|d| *d as i64).collect(),
        data_type: FLOAT,
        name: name.to_owned(),
        raw_data: data.iter().flat_map(|x| x.to_le_bytes()).collect(),
    });
    let lists = shell.lists.iter().map(|(name, list)| TensorData {
        dims: vec![list.len() as i64],
        data_type: INT64,
        name: (*name).to_owned(),
        raw_data: list.iter().flat_map(|x| x.to_le_bytes()).collect(),
    });
    let values = |all: &[(&str, i32, &[i64])]| all.iter().map(|(name, elem_type, rest)| value(name, *elem_type, rest)).collect();
    let graph = Graph {
        name: shell.name.to_owned(),
        initializer: floats.chain(lists).collect(),
        input: values(shell.input),
        output: values(shell.output),
        node: shell.nodes,
    };
    let opset_import = vec![OperatorSet { domain: String::new(), version: OPSET }];
    Model { ir_version: IR_VERSION, producer_name: "weir".to_owned(), graph: Some(graph), opset_import }.encode_to_vec()
}

/// A step of the arithmetic.
pub(super) fn node(op: &str, input: &[&str], output: &[&str]) -> Node {
    let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    Node { input: owned(input), output: owned(output), name: output.concat(), op_type: op.to_owned(), attribute: Vec::new() }
}

/// Along the second axis.
pub(super) fn along(mut node: Node) -> Node {
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
pub(super) fn read(onnx: &[u8], layout: Layout, slots: usize) -> Option<Weights> {
    let graph = Model::decode(onnx).ok()?.graph?;
    Weights::gather(layout, slots, |name| {
        let tensor = graph.initializer.iter().find(|t| t.name == name && t.data_type == FLOAT)?;
        let dims = tensor.dims.iter().map(|d| usize::try_from(*d).ok()).collect::<Option<Vec<usize>>>()?;
        let (floats, rest) = tensor.raw_data.as_chunks::<4>();
        rest.is_empty().then(|| (dims, floats.iter().map(|b| f32::from_le_bytes(*b)).collect()))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{autoencoder, gru};
    use super::*;

    #[test]
    fn weights_come_back_from_the_file_and_damage_gives_none() {
        let layout = gru::LAYOUT;
        let weights = Weights::random(layout, 9, 4);
        let file = gru::file(&weights);
        assert_eq!(read(&file, layout, 9).as_ref(), Some(&weights));
        assert_eq!(read(&file, layout, 8), None, "other slots");
        assert_eq!(read(&file, autoencoder::LAYOUT, 9), None, "another network");
        assert_eq!(read(&file[..file.len() / 2], layout, 9), None);
        assert_eq!(read(b"something else", layout, 9), None);
    }
}
