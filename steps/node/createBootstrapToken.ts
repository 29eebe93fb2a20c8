import { bootstrapTokenInput, makeBootstrapToken } from "./bootstrap";
import { step } from "../lib/step";

step(module, "createBootstrapToken", bootstrapTokenInput, makeBootstrapToken);
