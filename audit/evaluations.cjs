// Preloaded into the CDK's JavaScript: has cdk-nag write down what came of every rule on every resource. Its own
// report names violations alone, so that a pack that looks at nothing would pass, and an acknowledgement that
// nothing needs would stay. One line of JSON per pack goes to the file that AUDIT_EVALUATIONS names.
"use strict";

const fs = require("node:fs");
const Module = require("node:module");

const load = Module._load;
Module._load = function (...request) {
  const loaded = load.apply(this, request);
  if (loaded?.NagPack?.prototype?.validateScope && !loaded.NagPack.prototype.evaluations) {
    writeDown(loaded.NagPack.prototype);
  }
  return loaded;
};

function writeDown(pack) {
  const { applyRule, validateScope } = pack;
  pack.evaluations = () => ({ compliant: 0, found: [] });
  pack.validateScope = function (scope) {
    this.seen = pack.evaluations();
    const report = validateScope.call(this, scope);
    const line = JSON.stringify({ pack: this.packName, ...this.seen });
    fs.appendFileSync(process.env.AUDIT_EVALUATIONS, line + "\n");
    return report;
  };
  pack.applyRule = function (params) {
    const id = `${this.packName}-${params.ruleSuffixOverride || params.rule.name}`;
    const found = (rule) =>
      this.seen.found.push({ rule, resource: params.node.node.path, advice: `${params.info} ${params.explanation}` });
    const rule = (node) => {
      let result;
      try {
        result = params.rule(node);
      } catch (error) {
        found(id); // a rule that fails counts as a finding, as cdk-nag has it
        throw error;
      }
      if (result === "Compliant" || (Array.isArray(result) && result.length === 0)) this.seen.compliant += 1;
      else if (result === "Non-Compliant") found(id);
      else if (Array.isArray(result)) result.forEach((finding) => found(`${id}[${finding}]`));
      return result;
    };
    Object.defineProperty(rule, "name", { value: params.rule.name }); // cdk-nag names rules by their functions
    applyRule.call(this, { ...params, rule });
  };
}
