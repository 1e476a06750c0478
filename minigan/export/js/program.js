// A program: nodes in their order, each an op of arrays by name. What follows from weights alone is computed once.

class Program {
  constructor({ inputs, nodes, result }, arrays) {
    Object.assign(this, { inputs, result, known: { ...arrays }, nodes: [] });
    for (const node of nodes) {
      if (node.inputs.every((name) => !name || name in this.known)) this.known[node.name] = this.computed(node, this.known);
      else this.nodes.push(node);
    }
    this.last = {};  // the number of the node that reads an array last
    this.nodes.forEach((node, k) => node.inputs.forEach((name) => { this.last[name] = k; }));
  }

  computed({ op, inputs, attributes }, values) {
    return OPS[op](inputs.map((name) => name ? values[name] : undefined), attributes);
  }

  // the result of arrays of numbers, in the order of `inputs`
  run(...given) {
    const values = Object.create(this.known);
    this.inputs.forEach(({ name, shape, type }, k) => { values[name] = { shape, data: TYPES[type].from(given[k]) }; });
    this.nodes.forEach((node, k) => {
      values[node.name] = this.computed(node, values);
      for (const name of node.inputs) if (this.last[name] === k && name !== this.result) delete values[name];
    });
    return values[this.result];
  }
}
