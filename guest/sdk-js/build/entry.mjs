// The module that the component is made of: what is not pure is put out of reach before the guest's modules are loaded.

export const entry = (handler) => `
import "sandman-sdk/pure";
import * as log from "sandman:handler/log@0.1.0";
import { component } from "sandman-sdk/component";
import definition from ${JSON.stringify(handler)};
export const handler = component(definition, log);
`;
