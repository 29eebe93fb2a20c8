import { bootstrapTokenInput, makeBootstrapToken } from "./lib/bootstrap";
import { step } from "./lib/step";

step(module, "createBootstrapToken", bootstrapTokenInput, makeBootstrapToken);
