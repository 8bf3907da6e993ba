// The examples unchanged, with the packages of their own lock files.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {cp, mkdir, readFile, readdir, symlink, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {test} from 'node:test';
import {FORMATS, bundle, folder, makeVideo, openPage, root, servePages, startBackend, until} from './harness.js';

const examples = join(root, 'examples');
const example = join(examples, 'uppy');

/** Packs web/upreel and unpacks it as npm does: into `node_modules/upreel` of a folder. */
async function installPackage(dir) {
  const [{filename}] = JSON.parse(execFileSync('npm', ['pack', '--json', '--pack-destination', dir], {
    cwd: join(root, 'web/upreel'), encoding: 'utf8',
  }));
  await mkdir(join(dir, 'node_modules/upreel'), {recursive: true});
  execFileSync('tar', ['-xzf', join(dir, filename), '--strip-components=1', '-C', join(dir, 'node_modules/upreel')]);
}

const plays = (page) => until('the video plays', () => page.locator('video').evaluate(async (video) => {
  video.muted = true;
  await video.play().catch(() => {});
  return video.currentTime > 0;
}));

test('the React example builds with the packed package, uploads and plays', async (t) => {
  const backend = await startBackend(t);
  const dir = await folder(t);
  const video = await makeVideo(join(dir, 'harbour.mp4'));
  const project = join(dir, 'project');
  const source = join(examples, 'react');
  const isSource = (path) => !/node_modules|dist$/.test(path.slice(source.length));
  await cp(source, project, {recursive: true, filter: isSource});
  await installPackage(project);
  const installed = join(source, 'node_modules');
  for (const name of await readdir(installed)) {
    if (name !== 'upreel') await symlink(join(installed, name), join(project, 'node_modules', name));
  }
  const env = {...process.env, VITE_API: backend.api};
  const output = execFileSync('npm', ['run', 'build'], {cwd: project, env, encoding: 'utf8'});
  assert.match(output, /built in/);
  const app = await readFile(join(source, 'src/App.tsx'), 'utf8');
  assert.ok(app.split('\n').length - 1 <= 15);

  const page = await openPage(t, await servePages(t, {}, join(project, 'dist')));
  await page.setInputFiles('input', video.path);
  await page.getByText('PROCESSED').waitFor();
  await plays(page);
  const [{videoId}] = await backend.videos();
  await backend.assertStored(`videos/local/${videoId}.mp4`, video);
  await page.setInputFiles('input', {name: 'film.mp4', mimeType: 'video/mp4', buffer: Buffer.from('PK\x03\x04')});
  await page.getByText(`ZIP is not supported. Supported: ${FORMATS}.`).waitFor();
  assert.deepEqual(page.errors, []);
});

test('the HTML example uploads and plays', async (t) => {
  const backend = await startBackend(t);
  const dir = await folder(t);
  const video = await makeVideo(join(dir, 'harbour.mp4'));
  await installPackage(dir);
  const html = await readFile(join(examples, 'html/index.html'), 'utf8');
  assert.ok(html.split('\n').length - 1 <= 10);
  const texts = {'/index.html': html.replace('http://127.0.0.1:3000', backend.api)};
  for (const name of ['upreel.js', 'uploader.js']) {
    texts[`/upreel/${name}`] = await readFile(join(dir, 'node_modules/upreel', name), 'utf8');
  }
  const page = await openPage(t, await servePages(t, texts));
  await page.locator('upreel-uploader input').setInputFiles(video.path);
  await page.getByText('Ready', {exact: true}).waitFor();
  await plays(page);
  assert.deepEqual(page.errors, []);
});

test('the Dashboard of the example shows posters, and why uploads failed', async (t) => {
  const backend = await startBackend(t);
  const dir = await folder(t);
  const video = await makeVideo(join(dir, 'harbour.mp4'));
  await writeFile(join(dir, 'notes.txt'), 'no video');
  await writeFile(join(dir, 'broken.mp4'), 'no video either');

  // Only the URL of the backend is replaced.
  const files = await bundle(join(example, 'main.js'));
  const script = files['/main.js'].replace('http://127.0.0.1:3000', backend.api);
  assert.equal(files['/main.js'].split('127.0.0.1:3000').length, 2, 'one place names the backend');
  const site = await servePages(t, {'/dist/main.js': script, '/dist/main.css': files['/main.css']}, example);
  const page = await openPage(t, site, {viewport: {width: 900, height: 700}});

  const upload = async (name) => {
    if ((await page.locator('.uppy-Dashboard-input').count()) === 0) await page.getByText('Add more').click();
    await page.setInputFiles('.uppy-Dashboard-input >> nth=0', join(dir, name));
    await page.click('.uppy-StatusBar-actionBtn--upload');
  };
  await upload('harbour.mp4');
  const poster = page.locator('.uppy-Dashboard-Item-previewImg');
  await poster.waitFor();
  const {thumbnailUrl} = await backend.onlyVideo();
  const shown = await poster.evaluate((img) => img.decode().then(() => [img.src, img.naturalWidth]));
  assert.deepEqual([new URL(shown[0]).pathname, shown[1]], [new URL(thumbnailUrl).pathname, 640]);
  const [{videoId}] = await backend.videos();
  await backend.assertStored(`videos/local/${videoId}.mp4`, video);
  assert.deepEqual(page.errors, []);

  await upload('broken.mp4');
  const {error} = await until('the video has failed', async () => (await backend.videos()).find((v) => v.error));
  await page.getByText(`broken.mp4: ${error.message}`).first().waitFor();

  await page.getByText('Add more').click();
  await page.setInputFiles('.uppy-Dashboard-input >> nth=0', join(dir, 'notes.txt'));
  await page.getByText('You can only upload: video/*').first().waitFor();
  const polls = page.requests.filter((request) => new URL(request.url()).pathname.startsWith('/videos/'));
  assert.ok(polls.length > 0);
  if (process.env.SCREENSHOTS) await page.screenshot({path: join(process.env.SCREENSHOTS, 'uppy.png')});
});
