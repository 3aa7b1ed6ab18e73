//! What `wit-bindgen` makes of `/wit`. Nothing else stands here.
wit_bindgen::generate!({
    path: "../../wit",
    world: "event-handler",
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "sandman_sdk::bindings",
    additional_derives: [PartialEq],
});
