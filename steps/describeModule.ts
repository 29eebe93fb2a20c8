import { describe, describeModuleInput } from "./lib/modules";
import { step } from "./lib/step";

step(module, "describeModule", describeModuleInput, describe);
