// A hostile web page against the local backend: a page of another origin, and one whose host name is made to resolve to
// 127.0.0.1 (DNS rebinding). It must not read or change anything on any port.

import assert from 'node:assert/strict';
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {test} from 'node:test';
import {findBrowser, folder, makeVideo, servePages, startBackend} from './harness.js';
import {chromium} from 'playwright-core';

/** The name that the hostile page has rebound. */
const REBOUND = 'rebound.example';

/** Newer versions of Chromium ask the user before a page may send requests to this machine. Other browsers do not. */
const PERMIT = '--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests';

/**
 * Runs in the page: sends `requests` in every way that a page has, and returns what it could read. A `no-cors` request,
 * an image, a script, a form and a link need no permission, and do not show the response.
 */
async function attack({requests, embedded}) {
  const read = [];
  let answered = 0;
  for (const [url, init] of requests) {
    for (const mode of ['cors', 'no-cors', 'same-origin']) {
      try {
        const response = await fetch(url, {...init, mode});
        const text = await response.text();
        answered += 1;
        // A page whose host is rebound can read the refusal itself, which contains no data.
        if (response.status !== 403 && response.type !== 'opaque') read.push(`${mode} ${url}: ${response.status} ${text}`);
      } catch {
        // The browser does not let the page see the response.
      }
    }
    if (init?.method === 'POST') navigator.sendBeacon(url, init.body);
  }
  const done = (element) => new Promise((resolve) => (element.onload = element.onerror = resolve));
  for (const url of embedded) {
    for (const [tag, source] of [['img', 'src'], ['script', 'src'], ['iframe', 'src'], ['link', 'href']]) {
      const element = document.createElement(tag);
      if (tag === 'link') element.rel = 'stylesheet';
      element[source] = url;
      document.body.append(element);
      await done(element);
      try {
        if (element.contentDocument?.body?.textContent) read.push(`${url}: ${element.contentDocument.body.textContent}`);
      } catch {
        // A frame of another origin.
      }
    }
    const form = Object.assign(document.createElement('form'), {action: url, method: 'post', target: 'frame'});
    const frame = Object.assign(document.createElement('iframe'), {name: 'frame'});
    document.body.append(frame, form);
    form.submit();
    await done(frame);
    frame.remove();
  }
  return {read, answered};
}

/** Starts a backend as `make run` does, without the permissions of the other tests, and with one processed video. */
async function victim(t) {
  const backend = await startBackend(t, '--allow-origin', 'http://127.0.0.1:1');
  const video = await makeVideo(join(await folder(t), 'secret.mp4'));
  const form = new FormData();
  form.append('file', new Blob([await readFile(video.path)]), 'secret.mp4');
  const {videoId} = await backend.json('/upload', {method: 'POST', body: form});
  await backend.video(videoId);
  return {backend, videoId};
}

/** Everything that the attack could change: the rows and the objects. */
async function state(backend) {
  const videos = await backend.json('/videos?limit=100');
  const objects = await backend.list('uploads');
  const stable = videos.videos.map(({videoId, status, filename, size}) => ({videoId, status, filename, size}));
  return JSON.stringify({stable, objects, letters: await backend.json('/_local/dlq')});
}

/** The requests of the attack against the three ports at these URLs. */
function requests({api, s3, dynamodb}, videoId) {
  const target = (operation) => ({
    'Content-Type': 'application/x-amz-json-1.0',
    'X-Amz-Target': `DynamoDB_20120810.${operation}`,
    'X-Amz-Date': '20261127T000000Z',
    Authorization: 'AWS4-HMAC-SHA256 Credential=upreel/20261127/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0',
  });
  const table = JSON.stringify({TableName: 'VideoMetadata'});
  return [
    [`${api}/videos`],
    [`${api}/videos/${videoId}`],
    [`${api}/videos/${videoId}`, {method: 'DELETE'}],
    [`${api}/presign?name=evil.mp4`],
    [`${api}/presign`, {method: 'POST', body: JSON.stringify({method: 'PUT', key: 'evil.mp4'})}],
    [`${api}/s3/params?filename=evil.mp4`],
    [`${api}/s3/multipart`, {method: 'POST', body: JSON.stringify({filename: 'evil.mp4'})}],
    [`${api}/_local/dlq`],
    [`${api}/_local/dlq/replay`, {method: 'POST'}],
    [`${s3}/uploads?list-type=2`],
    [`${s3}/uploads/evil.mp4`, {method: 'PUT', body: 'evil'}],
    [dynamodb, {method: 'POST', headers: target('Scan'), body: table}],
    [dynamodb, {method: 'POST', headers: target('DeleteTable'), body: table}],
    [dynamodb, {method: 'POST', body: table}],
  ];
}

test('a page of another origin reads and changes nothing', async (t) => {
  const {backend, videoId} = await victim(t);
  const before = await state(backend);
  const site = await servePages(t, {'/index.html': '<!doctype html><body>evil'});
  const browser = await chromium.launch({executablePath: findBrowser(), args: [PERMIT]});
  t.after(() => browser.close());
  // Tries both names of this machine, so that one has the host of the page, and only the origin differs.
  for (const name of ['127.0.0.1', 'localhost']) {
    const ports = ['api', 's3', 'dynamodb'].map((port) => [port, backend[port].replace('127.0.0.1', name)]);
    const all = requests(Object.fromEntries(ports), videoId);
    const page = await browser.newPage();
    await page.goto(site);
    const {read, answered} = await page.evaluate(attack, {requests: all, embedded: all.map(([url]) => url)});
    assert.deepEqual(read, []);
    assert.ok(answered > 0, 'no request has reached the backend');
    await page.close();
  }
  assert.equal(await state(backend), before);
});

test('a page whose name resolves to this machine reads and changes nothing', async (t) => {
  const {backend, videoId} = await victim(t);
  const before = await state(backend);
  const browser = await chromium.launch({
    executablePath: findBrowser(),
    args: [PERMIT, `--host-resolver-rules=MAP ${REBOUND} 127.0.0.1`],
  });
  t.after(() => browser.close());
  for (const port of ['api', 's3', 'dynamodb']) {
    // The page is same-origin with the port: it could read every response.
    const url = backend[port].replace('127.0.0.1', REBOUND);
    const page = await browser.newPage();
    await page.route(`${url}/evil.html`, (route) => route.fulfill({contentType: 'text/html', body: '<body>evil'}));
    await page.goto(`${url}/evil.html`);
    const all = requests({api: url, s3: url, dynamodb: url}, videoId);
    const {read, answered} = await page.evaluate(attack, {requests: all, embedded: all.map(([path]) => path)});
    assert.deepEqual(read.filter((text) => !text.includes('--allow-host')), []);
    assert.ok(answered > 0, 'no request has reached the backend');
    await page.close();
  }
  assert.equal(await state(backend), before);
});
