// Programs of others that the tests of registries run: crane and oras, and the specification's own conformance tests.
import * as path from "node:path";
import { programsOf } from "../programs";

/** The `tool` lines of clients/go.mod. */
export const PROGRAMS = {
    crane: "github.com/google/go-containerregistry/cmd/crane",
    oras: "oras.land/oras/cmd/oras",
    conformance: "github.com/opencontainers/distribution-spec/conformance",
} as const;

/** Folder with the programs, from the cache or built now (20 s with nothing compiled before). */
export const clients = () =>
    programsOf("test-clients", path.join(__dirname, "clients"), Object.values(PROGRAMS));
