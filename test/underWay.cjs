// A reporter of Node's test runner: a line of JSON for each test that begins or ends, as it happens. By them is known what was under way in
// a file whose time was up.
"use strict";

const begins = { "test:dequeue": true, "test:pass": false, "test:fail": false };

module.exports = async function* (events) {
    for await (const { type, data } of events) {
        if (type in begins) yield `${JSON.stringify({ begins: begins[type], name: data.name })}\n`;
    }
};
