// Files with audio alone in the page: they can be chosen and uploaded if the backend accepts them, have a poster, and play.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {join} from 'node:path';
import {test} from 'node:test';
import {accessibility, folder, openPage, startBackend, until} from './harness.js';

const SECONDS = 9;
/** How a file is played, and why not by HLS. */
const FILES = {
  'aac.m4a': {options: ['-c:a', 'aac', '-f', 'mp4'], playback: {mode: 'HLS'}},
  'pcm.wav': {options: ['-c:a', 'pcm_s16le'], playback: {mode: 'HLS'}},
  'opus.weba': {options: ['-c:a', 'libopus', '-f', 'webm'], playback: {mode: 'HLS'}},
  'lame.mp3': {options: ['-c:a', 'libmp3lame'], playback: {mode: 'HLS'}},
  'opus.ogg': {options: ['-c:a', 'libopus'], playback: {mode: 'HLS'}},
  'alaw.wav': {options: ['-c:a', 'pcm_alaw'], playback: {mode: 'ORIGINAL', reason: 'AUDIO_CODEC'}},
};

test('audio is uploaded, shown and played', async (t) => {
  const [dir, backend] = [await folder(t), await startBackend(t, '--audio')];
  const paths = Object.keys(FILES).map((name) => join(dir, name));
  const source = ['-f', 'lavfi', '-i', `sine=f=440:r=48000:d=${SECONDS}`];
  for (const path of paths) {
    const {options} = FILES[path.split('/').at(-1)];
    execFileSync('ffmpeg', ['-nostdin', '-loglevel', 'error', ...source, ...options, path]);
  }
  const page = await openPage(t, backend.api);
  assert.match(await page.locator('#file').getAttribute('accept'), /^audio\/\*,video\/\*,/);
  await page.setInputFiles('#file', paths);
  for (const [name, {playback}] of Object.entries(FILES)) {
    const button = page.getByRole('button', {name: `Play ${name}`});
    await button.waitFor();
    const card = page.locator('.card', {has: button});
    const poster = card.locator('img');
    await until(`the poster of ${name}`, () => poster.evaluate(({complete, naturalWidth}) => complete && naturalWidth > 0));
    assert.ok(await card.locator('.scrub').isHidden(), 'no storyboard');
    const {videoId} = (await backend.videos()).find(({filename}) => filename === name);
    const record = await backend.video(videoId);
    assert.deepEqual([record.kind, record.playback], ['AUDIO', playback], name);

    await button.click();
    const element = page.locator('video');
    // The media is played up to its end, from a position near that, which is in another segment.
    await until(`${name} plays`, () => element.evaluate((video) => video.currentTime > 0.2));
    const [src, duration] = await element.evaluate((video) => [video.src, video.duration]);
    assert.equal(src.startsWith('blob:'), playback.mode === 'HLS', `${name}: ${src}`);
    assert.ok(Math.abs(duration - SECONDS) < 0.15, `${name}: ${duration} s`);
    await accessibility(page);
    assert.ok(await page.getByRole('button', {name: 'picture'}).isHidden());
    assert.ok(await page.locator('.unplayable').isHidden(), name);
    await element.evaluate((video) => { video.currentTime = 7; });
    await until(`${name} ends`, () => element.evaluate((video) => video.ended));
    assert.equal(await element.evaluate((video) => video.error), null);
    await page.keyboard.press('Escape');
  }
});

test('without the option, audio is refused before it is sent', async (t) => {
  const backend = await startBackend(t);
  const page = await openPage(t, backend.api);
  assert.match(await page.locator('#file').getAttribute('accept'), /^video\/\*,/);
  await page.setInputFiles('#file', {name: 'a.mp3', mimeType: 'audio/mpeg', buffer: Buffer.from('\xFF\xFB\x90\x64', 'latin1')});
  await page.locator('#grid').getByText('MP3 is not supported.').waitFor();
  assert.deepEqual(await backend.videos(), []);
});
