// The parts of a browser test: the real backend, a real Chromium, pages, videos, and a network that can fail.
//
// Everything that is started ends with the test (or suite) whose context `t` it was given. Nothing waits for a
// time; it waits until something is so, and fails after PATIENCE.

import assert from 'node:assert/strict';
import {execFile, spawn} from 'node:child_process';
import {createCipheriv, createHash} from 'node:crypto';
import {accessSync, constants} from 'node:fs';
import {appendFile, mkdtemp, readFile, rm, stat} from 'node:fs/promises';
import {createServer, request as forward} from 'node:http';
import {tmpdir} from 'node:os';
import {delimiter, extname, join, normalize} from 'node:path';
import {createInterface} from 'node:readline';
import {after} from 'node:test';
import {setTimeout as pause} from 'node:timers/promises';
import {promisify} from 'node:util';
import {AwsClient} from 'aws4fetch';
import * as esbuild from 'esbuild';
import {chromium} from 'playwright-core';

/** Long enough for a loaded machine, in milliseconds. */
export const PATIENCE = 60_000;

/** Asks until the answer is truthy, and returns it. */
export async function until(what, ask, patience = PATIENCE) {
  const end = Date.now() + patience;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    assert.ok(Date.now() < end, `waited ${patience} ms in vain until ${what}`);
    await pause(50);
  }
}

// --- the backend ---------------------------------------------------------------------------------------------

/** Starts `upreel --ephemeral` ($UPREEL is the binary) on free ports; it is ready when this returns. */
export async function startBackend(t, ...args) {
  const ports = ['--port', '0', '--s3-port', '0', '--dynamodb-port', '0'];
  const child = spawn(process.env.UPREEL, ['--ephemeral', ...ports, ...args], {stdio: ['ignore', 'pipe', 'pipe']});
  const exit = new Promise((resolve) => child.once('exit', resolve));
  const log = [];
  createInterface({input: child.stderr}).on('line', (line) => log.push(line));
  const stop = async () => (child.kill('SIGTERM'), exit);
  t.after(stop);
  const backend = new Backend(log, stop);
  for await (const line of createInterface({input: child.stdout})) {
    const [, name, url] = line.match(/^ +(Page and API|S3) +(http:\S+)/) ?? [];
    if (name === 'S3') backend.s3 = url;
    if (name === 'Page and API') backend.api = url;
    if (line.includes('Ctrl-C')) return backend;
  }
  throw new Error(`upreel did not start:\n${log.join('\n')}`);
}

class Backend {
  #owner = new AwsClient({
    accessKeyId: 'upreel',
    secretAccessKey: 'upreel-local',
    region: 'us-east-1',
    service: 's3',
  });

  constructor(log, stop) {
    /** Its lines on standard error. */
    this.log = log;
    this.stop = stop;
  }

  /** A request to the API; the parsed answer, or an error for a status that is none of success. */
  async json(path, init) {
    const answer = await fetch(this.api + path, init);
    assert.ok(answer.ok, `${path}: ${answer.status} ${answer.ok || (await answer.clone().text())}`);
    return answer.json();
  }

  /** The caller's videos, newest first. */
  async videos() {
    return (await this.json('/videos')).videos;
  }

  /** Waits until the video is done, and checks that it has the status. */
  async video(id, status = 'PROCESSED') {
    const done = async () => {
      const video = await this.json(`/videos/${id}`);
      return ['PROCESSED', 'FAILED'].includes(video.status) && video;
    };
    const video = await until(`video ${id} is done`, done);
    assert.equal(video.status, status, JSON.stringify(video));
    return video;
  }

  /** Waits until the caller has a single video and it is PROCESSED, with a poster that can be fetched. */
  async onlyVideo() {
    const videos = await this.videos();
    assert.equal(videos.length, 1, JSON.stringify(videos));
    const video = await this.video(videos[0].videoId);
    const poster = await fetch(video.thumbnailUrl);
    assert.deepEqual([poster.status, poster.headers.get('content-type')], [200, 'image/jpeg']);
    return video;
  }

  /** Checks that the object of this key in the uploads bucket has the file's bytes. */
  async assertStored(key, file) {
    const object = await this.object(key);
    assert.equal(object.status, 200, key);
    const hash = createHash('sha256');
    let size = 0;
    for await (const chunk of object.body) {
      hash.update(chunk);
      size += chunk.length;
    }
    assert.deepEqual([size, hash.digest('hex')], [file.size, file.sha256]);
  }

  /** GET of an object in the uploads bucket, as its owner. */
  object(key) {
    return this.#owner.fetch(`${this.s3}/uploads/${key}`);
  }

  /** The same URL as S3 takes it no more: signed by the owner long ago. */
  async expired(method, url) {
    const bare = new URL(url);
    for (const name of [...bare.searchParams.keys()]) if (name.startsWith('X-Amz-')) bare.searchParams.delete(name);
    const signed = await this.#owner.sign(bare, {method, aws: {signQuery: true, datetime: '20200101T000000Z'}});
    return signed.url;
  }

  /** What S3 has of an upload in parts; nothing when there is no such upload. */
  async parts(key, uploadId) {
    const answer = await fetch(`${this.api}/s3/multipart/${uploadId}?${new URLSearchParams({key})}`);
    assert.ok([200, 404].includes(answer.status), `${answer.status}`);
    return answer.ok ? answer.json() : undefined;
  }
}

// --- pages and the browser -----------------------------------------------------------------------------------

/** A module and what it imports, as one script for a page. */
export async function bundle(path) {
  const made = await esbuild.build({entryPoints: [path], bundle: true, format: 'esm', write: false, outdir: '/'});
  return Object.fromEntries(made.outputFiles.map((file) => [file.path, file.text]));
}

const TYPES = {'.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css'};

/** Serves texts by their path, and below that a folder's files if one is named; returns the URL. */
export async function servePages(t, texts, folder) {
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url, 'http://page').pathname).replace(/\/$/, '/index.html');
    const read = () => (folder ? readFile(join(folder, path)) : Promise.reject(new Error('no folder')));
    const body = await Promise.resolve(texts[path] ?? read()).catch(() => undefined);
    const status = body !== undefined ? 200 : path === '/favicon.ico' ? 204 : 404;
    response.writeHead(status, {'content-type': `${TYPES[extname(path)] ?? 'text/plain'}; charset=utf-8`});
    response.end(body);
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  t.after(() => (server.closeAllConnections(), new Promise((closed) => server.close(closed))));
  return `http://127.0.0.1:${server.address().port}`;
}

/** The first that is there of $CHROMIUM, a Chromium or Chrome on the PATH, and where macOS has them. */
function findBrowser() {
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
  const found = [process.env.CHROMIUM].filter(Boolean);
  for (const folder of process.env.PATH.split(delimiter)) found.push(...names.map((name) => join(folder, name)));
  for (const name of ['Google Chrome', 'Chromium']) found.push(`/Applications/${name}.app/Contents/MacOS/${name}`);
  const usable = found.find((path) => {
    try {
      return accessSync(path, constants.X_OK), true;
    } catch {
      return false;
    }
  });
  return usable ?? assert.fail('there is no Chromium; $CHROMIUM may name one');
}

let browser;

/** One browser for all tests of a file. */
function theBrowser() {
  browser ??= chromium.launch({executablePath: findBrowser()});
  return browser;
}
after(async () => (await browser)?.close());

/**
 * Opens a URL in a browser profile of its own (`options`: playwright's newContext).
 * `page.errors` are the uncaught exceptions and console errors, `page.requests` what it has asked for, and
 * `page.pending` what of that is under way.
 */
export async function openPage(t, url, options = {}) {
  const context = await (await theBrowser()).newContext(options);
  t.after(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.errors = [];
  page.requests = [];
  page.on('pageerror', (error) => page.errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') page.errors.push(`${message.text()} (${message.location().url})`);
  });
  page.pending = new Set();
  page.on('request', (request) => (page.requests.push(request), page.pending.add(request)));
  page.on('requestfinished', (request) => page.pending.delete(request));
  page.on('requestfailed', (request) => page.pending.delete(request));
  await page.goto(url);
  return page;
}

/**
 * A line that can be `cut`, and `mend`ed: a proxy for a page (`openPage(t, url, {proxy})`). Offline alone lets what
 * is under way finish, in Chromium.
 */
export async function startLine(t) {
  const server = createServer((request, response) => {
    const {method, headers, url} = request;
    const onward = forward(url, {method, headers}, (answer) => {
      response.writeHead(answer.statusCode, answer.rawHeaders);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.on('error', () => onward.destroy()).pipe(onward);
    response.on('close', () => onward.destroy());
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  let whole = true;
  server.on('connection', (socket) => whole || socket.destroy());
  const cut = () => ((whole = false), server.closeAllConnections());
  const mend = () => (whole = true);
  t.after(() => (cut(), new Promise((closed) => server.close(closed))));
  return {proxy: {server: `http://127.0.0.1:${server.address().port}`}, cut, mend};
}

/** Chromium's own network conditions: `{offline}`, or bytes a second `up` and `down`, and ms of `latency`. */
export async function network(page, {offline = false, up = -1, down = -1, latency = 0}) {
  page.devtools ??= await page.context().newCDPSession(page);
  await page.devtools.send('Network.enable');
  const conditions = {offline, latency, uploadThroughput: up, downloadThroughput: down};
  await page.devtools.send('Network.emulateNetworkConditions', conditions);
}

// --- videos --------------------------------------------------------------------------------------------------

const run = promisify(execFile);

/** A folder that is gone at the end. */
export async function folder(t) {
  const path = await mkdtemp(join(tmpdir(), 'upreel-browser-'));
  t.after(() => rm(path, {recursive: true}));
  return path;
}

/**
 * Makes a real MP4, with a keyframe every two seconds; `{path, size, sha256}`. With `size` it is filled up to that
 * many bytes by a `free` box, which every player skips, of bytes that do not repeat: parts cannot be mixed up
 * unnoticed.
 */
export async function makeVideo(path, {size, seconds = 2, rate = 25, picture = '640x360', sound = false} = {}) {
  const source = ['-f', 'lavfi', '-i', `testsrc2=size=${picture}:rate=${rate}:duration=${seconds}`];
  if (sound) source.push('-f', 'lavfi', '-i', `sine=frequency=440:duration=${seconds}`);
  const quiet = ['-nostdin', '-hide_banner', '-loglevel', 'error', '-y'];
  const codec = ['-pix_fmt', 'yuv420p', '-g', String(2 * rate), '-movflags', '+faststart'];
  await run('ffmpeg', [...quiet, ...source, ...codec, path]);
  if (size) {
    const length = size - (await stat(path)).size;
    const header = Buffer.from([0, 0, 0, 0, ...Buffer.from('free')]);
    header.writeUInt32BE(length);
    const filling = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16)).update(Buffer.alloc(length - 8));
    await appendFile(path, Buffer.concat([header, filling]));
  }
  const bytes = await readFile(path);
  return {path, size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex')};
}
