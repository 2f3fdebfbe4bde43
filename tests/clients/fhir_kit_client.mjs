// Drives a FHIR server with fhir-kit-client, the client most JavaScript applications use.
// node fhir_kit_client.mjs BASE_URL CASE; exits with 1 and the failed assertion when something is wrong.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { Client } from "fhir-kit-client";

const [baseUrl, name] = process.argv.slice(2);
const SYSTEM = "urn:fhir-kit-client";
const client = new Client({ baseUrl });
const mark = randomUUID();
const patient = (more = {}) => ({
  resourceType: "Patient",
  identifier: [{ system: SYSTEM, value: mark }],
  meta: { tag: [{ system: SYSTEM, code: mark }] },
  name: [{ family: "Lefèvre", given: ["Œdipe"] }],
  ...more,
});
const create = (body) => client.create({ resourceType: body.resourceType, body });

async function refusal(promise, status, code) {
  const error = await promise.then(() => assert.fail(`expected ${status}`), (error) => error);
  assert.equal(error.response?.status, status, error.stack);
  assert.equal(error.response.data.resourceType, "OperationOutcome");
  assert.equal(error.response.data.issue[0].code, code);
}

const cases = {
  async capabilities() {
    const statement = await client.capabilityStatement();
    assert.equal(statement.fhirVersion, "4.0.1");
  },

  async lifecycle() {
    const made = await create(patient());
    const { response } = Client.httpFor(made);
    assert.equal(response.status, 201);
    assert.equal(response.headers.get("location"), `${baseUrl}/Patient/${made.id}/_history/1`);
    const read = await client.read({ resourceType: "Patient", id: made.id });
    assert.deepEqual(read, made);
    const body = { ...read, active: true };
    const updated = await client.update({
      resourceType: "Patient",
      id: made.id,
      body,
      options: { headers: { "if-match": 'W/"1"' } },
    });
    assert.equal(updated.meta.versionId, "2");
    const stale = { headers: { "if-match": 'W/"1"' } };
    await refusal(client.update({ resourceType: "Patient", id: made.id, body, options: stale }), 412, "conflict");
    const first = await client.vread({ resourceType: "Patient", id: made.id, version: "1" });
    assert.equal(first.active, undefined);
    await client.delete({ resourceType: "Patient", id: made.id });
    await refusal(client.read({ resourceType: "Patient", id: made.id }), 410, "deleted");
    const history = await client.history({ resourceType: "Patient", id: made.id });
    assert.deepEqual(history.entry.map((entry) => entry.request.method), ["DELETE", "PUT", "POST"]);
  },

  async search() {
    const made = [];
    for (let number = 0; number < 5; number += 1) made.push((await create(patient())).id);
    const searchParams = { _tag: `${SYSTEM}|${mark}`, family: "lefevre", _count: 2 };
    for (const options of [{}, { postSearch: true }]) {
      const found = [];
      let page = await client.search({ resourceType: "Patient", searchParams, options });
      while (page) {
        found.push(...page.entry.map((entry) => entry.resource.id));
        page = await client.nextPage({ bundle: page });
      }
      assert.deepEqual(found.toSorted(), made.toSorted());
    }
    const repeated = await client.search({
      resourceType: "Patient",
      searchParams: { _tag: `${SYSTEM}|${mark}`, _id: [made[0], made[1]] },
    });
    assert.equal(repeated.entry, undefined, "repeated parameters are and");
  },

  async transaction() {
    const fullUrl = `urn:uuid:${randomUUID()}`;
    const allergy = {
      resourceType: "AllergyIntolerance",
      clinicalStatus: {
        coding: [
          { system: "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", code: "active" },
        ],
      },
      code: { text: "Arachide" },
      patient: { reference: fullUrl },
    };
    const body = {
      resourceType: "Bundle",
      type: "transaction",
      entry: [
        { fullUrl, resource: patient(), request: { method: "POST", url: "Patient" } },
        { resource: allergy, request: { method: "POST", url: "AllergyIntolerance" } },
      ],
    };
    const answer = await client.transaction({ body });
    assert.deepEqual(answer.entry.map((entry) => entry.response.status), ["201 Created", "201 Created"]);
    const id = answer.entry[1].response.location.split("/")[1];
    const stored = await client.read({ resourceType: "AllergyIntolerance", id });
    const owner = await client.resolve({ reference: stored.patient.reference });
    assert.equal(owner.identifier[0].value, mark);
    const wrong = { resource: patient({ gender: "man" }), request: { method: "POST", url: "Patient" } };
    const failing = { ...body, entry: [...body.entry, wrong] };
    await refusal(client.transaction({ body: failing }), 400, "code-invalid");
    const batch = await client.batch({
      body: { resourceType: "Bundle", type: "batch", entry: [{ request: { method: "GET", url: `Patient/${mark}` } }] },
    });
    assert.match(batch.entry[0].response.status, /^404/);
  },

  async conditional() {
    const options = { headers: { "if-none-exist": `identifier=${SYSTEM}|${mark}` } };
    const ask = () => client.create({ resourceType: "Patient", body: patient(), options });
    const made = await Promise.all(Array.from({ length: 8 }, ask));
    assert.equal(new Set(made.map((each) => each.id)).size, 1);
    const searchParams = { identifier: `${SYSTEM}|${mark}` };
    const updated = await client.update({ resourceType: "Patient", searchParams, body: patient({ active: true }) });
    assert.deepEqual([updated.id, updated.meta.versionId], [made[0].id, "2"]);
  },

  async refusals() {
    await refusal(client.read({ resourceType: "Patient", id: mark }), 404, "not-found");
    await refusal(create(patient({ birthDate: "1980-02-30" })), 400, "value");
    await refusal(client.search({ resourceType: "Patient", searchParams: { famly: "x" } }), 400, "not-supported");
  },
};

await cases[name]();
