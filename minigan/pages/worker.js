// What computes, beside the page where it can: programs by name, and their results for what they are given.
let programs = {};

function begin({ programs: described, bytes }) {
  const all = bytesOf(bytes);
  for (const [name, program] of Object.entries(described)) programs[name] = new Program(program, arraysOf(program.arrays, all));
}

const result = ({ name, given }) => Float32Array.from(programs[name].run(...given).data);

if (typeof document === "undefined") self.onmessage = ({ data }) => {
  if (data.programs) begin(data);
  else self.postMessage(result(data));
};
