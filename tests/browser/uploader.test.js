// The element <upreel-uploader> of web/upreel/uploader.js.

import assert from 'node:assert/strict';
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {before, test} from 'node:test';
import {FORMATS, accessibility, folder, makeVideo, network, openPage, root, servePages, startBackend, until} from './harness.js';

const MiB = 2 ** 20;
const videos = {};
const texts = {};

before(async (t) => {
  const dir = await folder(t);
  videos.small = await makeVideo(join(dir, 'small.mp4'));
  videos.large = await makeVideo(join(dir, 'large.mp4'), {size: 40 * MiB});
  for (const name of ['upreel.js', 'uploader.js']) {
    texts[`/${name}`] = await readFile(join(root, 'web/upreel', name), 'utf8');
  }
});

/** Opens a page with the element, whose events are collected in `events`. */
async function start(t, attributes = 'multiple') {
  const backend = await startBackend(t);
  const html = `<!doctype html><html lang=en><title>Upload</title><link rel=icon href=data:,>
    <style>upreel-uploader::part(drop) { background: rgb(1, 2, 3); color: white }</style>
    <main><h1>Upload</h1><upreel-uploader api="${backend.api}" ${attributes}></upreel-uploader></main>
    <script type=module>import '/uploader.js'; window.events = [];
      for (const type of ['stored', 'video', 'error']) document.querySelector('upreel-uploader').addEventListener(type, ({detail}) => events.push([type, detail.code ?? detail.status]));
    </script>`;
  const page = await openPage(t, await servePages(t, {...texts, '/index.html': html}));
  return {backend, page};
}

const choose = (page, ...files) => page.locator('upreel-uploader input').setInputFiles(files.map((file) => file.path ?? file));
const item = (page, name) => page.locator('li', {hasText: name});
const status = (page, name) => item(page, name).locator('.status').textContent();
const click = (page, name) => page.getByRole('button', {name}).click();

test('uploads several files, and refuses those that are no videos', async (t) => {
  const {backend, page} = await start(t);
  const zip = {name: 'film.mp4', mimeType: 'video/mp4', buffer: Buffer.from('PK\x03\x04')};
  await choose(page, {name: 'a.mp4', mimeType: 'video/mp4', buffer: await readFile(videos.small.path)}, zip);
  await item(page, 'film.mp4').getByText(`ZIP is not supported. Supported: ${FORMATS}.`).waitFor();
  await item(page, 'a.mp4').getByText('Ready').waitFor();
  assert.deepEqual((await backend.videos()).map(({filename}) => filename), ['a.mp4']);
  const expected = [['error', 'UNSUPPORTED_MEDIA'], ['stored', undefined], ['video', 'PROCESSED']];
  assert.deepEqual((await page.evaluate(() => events)).sort(), expected);
  if (process.env.SCREENSHOTS) await page.screenshot({path: join(process.env.SCREENSHOTS, 'uploader.png')});
  assert.equal(await page.locator('.drop').evaluate((el) => getComputedStyle(el).backgroundColor), 'rgb(1, 2, 3)', 'themed by ::part');
  await accessibility(page);
  await click(page, 'Remove film.mp4');
  assert.equal(await page.locator('li').count(), 1);
  assert.deepEqual(page.errors, []);
});

test('pauses, resumes, survives a reload, and asks before much is cancelled', async (t) => {
  const {backend, page} = await start(t, '');
  await network(page, {up: 8 * MiB});
  await choose(page, videos.large);
  await until('a part is stored', async () => page.requests.some((request) => request.url().includes('partNumber=2')));
  await click(page, 'Pause large.mp4');
  await item(page, 'large.mp4').getByText(/^Paused at/).waitFor();
  assert.equal(await page.evaluate(() => document.querySelector('upreel-uploader').shadowRoot.activeElement?.textContent), 'Resume', 'the focus stays');
  await accessibility(page);
  await network(page, {});
  await page.reload();
  await item(page, 'large.mp4').getByText(/^Interrupted at .* of 40\.0 MiB: choose the file again$/).waitFor();
  await accessibility(page);

  const chooser = page.waitForEvent('filechooser');
  await click(page, 'Choose the file large.mp4');
  await (await chooser).setFiles(videos.small.path);
  await item(page, 'large.mp4').getByText('is a different file').waitFor();
  // The fifth part is held, so that 20 MiB are sent when the upload is cancelled.
  await page.route(/partNumber=5/, () => {});
  await choose(page, videos.large);
  await until('20 MiB are sent', async () => /^50%/.test(await status(page, 'large.mp4')));
  for (const accept of [false, true]) {
    page.once('dialog', (dialog) => {
      assert.match(dialog.message(), /20\.0 MiB have been sent/);
      return accept ? dialog.accept() : dialog.dismiss();
    });
    await click(page, 'Cancel large.mp4');
    assert.equal(await page.locator('li').count(), accept ? 0 : 1);
  }
  await until('the video is deleted', async () => (await backend.videos()).length === 0);
  assert.deepEqual(page.errors, []);
});

test('can be imported where there are no elements', async () => {
  const {UpreelUploader} = await import('../../web/upreel/uploader.js');
  assert.equal(typeof UpreelUploader, 'function');
});
