//! The bindings that `wit-bindgen` generates from `/wit`, and nothing else.
wit_bindgen::generate!({
    path: "../../wit",
    world: "event-handler",
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "sandman_sdk::bindings",
    additional_derives: [PartialEq],
});
