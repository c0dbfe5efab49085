//! The discovered API as an OpenAPI 3.1 document: what was seen, no more.

use engine::model::{EndpointView, FieldView};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Methods that OpenAPI has a place for.
const METHODS: [&str; 8] = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"];
/// A field that so many requests carry is required.
const REQUIRED: f64 = 0.98;

/// An OpenAPI 3.1 document of endpoints. Templates that differ only in the names of their variables share a path; operations behind one
/// path and method (GraphQL, JSON-RPC) are named in its description.
pub(crate) fn document(title: &str, endpoints: &[EndpointView]) -> Value {
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut by_shape: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut grouped: BTreeMap<(String, String), Vec<&EndpointView>> = BTreeMap::new();
    let hosts: BTreeSet<&str> = endpoints.iter().map(|e| e.host.as_str()).filter(|h| !h.is_empty()).collect();
    for endpoint in endpoints.iter().filter(|e| METHODS.contains(&e.method.as_str())) {
        // Paths are unique over the document: where several hosts have the same one, the host tells them apart.
        let host = if hosts.len() > 1 { endpoint.host.clone() } else { String::new() };
        let template = by_shape.entry((host, shape(&endpoint.template))).or_insert_with(|| path_of(endpoint)).clone();
        grouped.entry((template, endpoint.method.to_ascii_lowercase())).or_default().push(endpoint);
    }
    let mut ids = BTreeSet::new();
    for ((path, method), same) in grouped {
        paths.entry(path).or_default().insert(method, operation(&same, &mut ids));
    }
    let servers: Vec<Value> = hosts.iter().map(|h| json!({"url": format!("https://{h}")})).collect();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {"title": title, "version": "discovered", "description": "Discovered from traffic by Weir."},
        "paths": paths,
    });
    if !servers.is_empty() {
        document["servers"] = Value::Array(servers);
    }
    document
}

/// A template with its variables' names left out.
fn shape(template: &str) -> String {
    template.split('/').map(|s| if s.starts_with('{') { "{}" } else { s }).collect::<Vec<_>>().join("/")
}

/// The template as OpenAPI has it: a tail is a variable, too.
fn path_of(endpoint: &EndpointView) -> String {
    endpoint.template.replace("**", "{rest}")
}

fn operation(same: &[&EndpointView], ids: &mut BTreeSet<String>) -> Value {
    let first = same[0];
    let mut parameters: Vec<Value> = variables(&path_of(first))
        .into_iter()
        .map(|name| {
            let kind = first.variables.iter().find(|(n, _)| *n == name).map_or("string", |(_, k)| k.as_str());
            json!({"name": name, "in": "path", "required": true, "schema": schema_of(kind)})
        })
        .collect();
    let mut query: BTreeMap<&str, &FieldView> = BTreeMap::new();
    let mut body: BTreeMap<&str, &FieldView> = BTreeMap::new();
    let mut form = false;
    for field in same.iter().flat_map(|e| &e.fields) {
        match field.place.as_str() {
            "query" => drop(query.insert(&field.name, field)),
            place => {
                form |= place == "form";
                body.insert(&field.name, field);
            }
        }
    }
    parameters.extend(
        query.values().map(|f| json!({"name": f.name, "in": "query", "required": f.share >= REQUIRED, "schema": schema_of(&f.kind)})),
    );
    let mut id = format!("{}-{}", first.method.to_ascii_lowercase(), first.id);
    while !ids.insert(id.clone()) {
        id.push('x');
    }
    let mut operation = json!({
        "operationId": id,
        "summary": format!("{} requests seen", same.iter().map(|e| e.requests).sum::<u64>()),
        "responses": responses(same),
    });
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    if !body.is_empty() {
        let media = if form { "application/x-www-form-urlencoded" } else { "application/json" };
        operation["requestBody"] = json!({"content": {media: {"schema": body_schema(body.into_values())}}});
    }
    let operations: Vec<&str> = same.iter().filter_map(|e| e.operation.as_deref()).collect();
    if !operations.is_empty() {
        operation["description"] = json!(format!("Operations: {}", operations.join(", ")));
    }
    operation
}

/// Names of the variables of a template, in order.
fn variables(template: &str) -> Vec<String> {
    template.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}').map(str::to_owned)).collect()
}

fn responses(same: &[&EndpointView]) -> Value {
    let mut responses = Map::new();
    for status in same.iter().flat_map(|e| &e.statuses).map(|(status, _)| *status).filter(|s| (100..600).contains(s)) {
        let names: BTreeSet<&str> =
            same.iter().flat_map(|e| &e.response_fields).filter(|(s, _)| *s == status).map(|(_, n)| n.as_str()).collect();
        let mut response = json!({"description": format!("Seen with status {status}.")});
        if !names.is_empty() {
            let properties: Map<String, Value> = names.into_iter().map(|n| (n.to_owned(), json!({}))).collect();
            response["content"] = json!({"application/json": {"schema": {"type": "object", "properties": properties}}});
        }
        responses.insert(status.to_string(), response);
    }
    if responses.is_empty() {
        responses.insert("default".to_owned(), json!({"description": "No status was mirrored."}));
    }
    Value::Object(responses)
}

/// A nested object schema from flat names (`a.b[].c`).
fn body_schema<'f>(fields: impl Iterator<Item = &'f FieldView>) -> Value {
    let mut root = json!({"type": "object"});
    for field in fields {
        let mut node = &mut root;
        let parts: Vec<&str> = field.name.split('.').filter(|p| !p.is_empty()).collect();
        for part in &parts {
            let name = part.trim_end_matches("[]");
            let arrays = (part.len() - name.len()) / 2;
            if !name.is_empty() {
                if node.get("properties").is_none() {
                    *node = json!({"type": "object", "properties": {}});
                }
                node = &mut node["properties"][name];
                if node.is_null() {
                    *node = json!({});
                }
            }
            for _ in 0..arrays {
                if node.get("items").is_none() {
                    *node = json!({"type": "array", "items": {}});
                }
                node = &mut node["items"];
            }
        }
        if node.get("properties").is_none() && node.get("items").is_none() && !parts.is_empty() {
            *node = schema_of(&field.kind);
        }
        if let ([only], true) = (parts.as_slice(), field.share >= REQUIRED)
            && !only.contains("[]")
            && root.get("properties").is_some()
        {
            match root.get_mut("required").and_then(Value::as_array_mut) {
                Some(required) => required.push(json!(only)),
                None => root["required"] = json!([only]),
            }
        }
    }
    root
}

fn schema_of(kind: &str) -> Value {
    match kind {
        "uuid" | "date" | "email" => json!({"type": "string", "format": kind}),
        "integer" | "number" | "boolean" | "null" | "string" => json!({"type": kind}),
        _ => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::{ApiName, EndpointId};

    fn endpoint(method: &str, template: &str, fields: &[(&str, &str, &str, f64)]) -> EndpointView {
        EndpointView {
            id: EndpointId(7),
            api: ApiName::new("a.example"),
            method: method.to_owned(),
            host: "a.example".to_owned(),
            template: template.to_owned(),
            variables: variables(template).into_iter().map(|n| (n, "integer".to_owned())).collect(),
            operation: None,
            requests: 10,
            successes: 9,
            statuses: vec![(200, 9), (404, 1)],
            fields: fields
                .iter()
                .map(|(p, n, k, s)| FieldView { place: (*p).into(), name: (*n).into(), kind: (*k).into(), share: *s })
                .collect(),
            response_fields: vec![(200, "id".to_owned())],
            first_seen: None,
            evidence: Vec::new(),
            formerly: Vec::new(),
        }
    }

    #[test]
    fn parameters_bodies_and_answers_are_described() {
        let fields = [
            ("query", "page", "integer", 0.4),
            ("body", "name", "string", 1.0),
            ("body", "lines[].sku", "string", 0.9),
            ("body", "lines[].n", "integer", 0.9),
        ];
        let document = document("t", &[endpoint("POST", "/v1/orders/{id}", &fields), endpoint("GET", "/v1/orders/{id}", &[])]);
        let post = &document["paths"]["/v1/orders/{id}"]["post"];
        assert_eq!(post["parameters"][0], json!({"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}}));
        assert_eq!(post["parameters"][1]["required"], json!(false));
        let schema = &post["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(schema["required"], json!(["name"]));
        assert_eq!(schema["properties"]["lines"]["items"]["properties"]["n"], json!({"type": "integer"}));
        assert_eq!(post["responses"]["404"]["description"], json!("Seen with status 404."));
        assert_ne!(post["operationId"], document["paths"]["/v1/orders/{id}"]["get"]["operationId"]);
    }

    #[test]
    fn a_tail_is_a_variable_and_a_strange_method_has_no_place() {
        let document = document("t", &[endpoint("GET", "/files/**", &[]), endpoint("PURGE", "/files/{id}", &[])]);
        assert_eq!(document["paths"].as_object().map(Map::len), Some(1));
        assert_eq!(document["paths"]["/files/{rest}"]["get"]["parameters"][0]["name"], json!("rest"));
    }
}
