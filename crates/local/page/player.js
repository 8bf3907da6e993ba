// Plays an original, with its storyboard as a strip to look and jump through.

const STEP = 5; // seconds, of an arrow key

export class Player {
  constructor(dialog, { clock, format }) {
    Object.assign(this, { dialog, clock, format });
    const find = (selector) => dialog.querySelector(selector);
    this.video = find('video');
    this.strip = find('.strip');
    this.peek = find('.peek');
    this.unplayable = find('.unplayable');
    dialog.addEventListener('close', () => {
      this.unload();
      this.unplayable.hidden = this.strip.hidden = this.peek.hidden = true;
    });
    // A click beside the dialog lands on the dialog itself.
    dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
    this.video.addEventListener('error', () => this.failed());
    this.video.addEventListener('playing', () => { this.renewed = false; });
    this.video.addEventListener('timeupdate', () => this.mark());
    this.video.addEventListener('loadedmetadata', () => {
      // The sound alone: the picture is in a codec that the browser lacks.
      if (!this.video.videoWidth) this.refuse();
    });
    this.strip.addEventListener('pointermove', (event) => this.look(event));
    this.strip.addEventListener('pointerdown', (event) => {
      this.strip.setPointerCapture(event.pointerId);
      this.look(event);
    });
    this.strip.addEventListener('pointerleave', () => { this.peek.hidden = true; });
    this.strip.addEventListener('keydown', (event) => {
      const { currentTime } = this.video;
      const [back, on] = [currentTime - STEP, currentTime + STEP];
      const to = { ArrowRight: on, ArrowUp: on, ArrowLeft: back, ArrowDown: back, Home: 0, End: this.length }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      this.seek(to);
    });
    window.addEventListener('resize', () => { if (dialog.open) this.draw(); });
  }

  async open({ video, name, facts, at, storyboard, renew }) {
    Object.assign(this, { about: video, renew, storyboard, renewed: false });
    this.dialog.querySelector('h2').textContent = name;
    this.dialog.querySelector('.facts').textContent = facts.join(' · ');
    this.dialog.querySelector('.download').href = video.downloadUrl;
    this.video.controls = true;
    this.video.poster = video.thumbnailLargeUrl ?? video.thumbnailUrl ?? '';
    this.video.style.aspectRatio = video.width && video.height ? `${video.width} / ${video.height}` : '';
    this.dialog.showModal();
    this.play(video.url, at);
    const tiles = video.storyboardUrl && await storyboard.ready();
    // Closed meanwhile, or another one opened.
    if (!tiles || this.storyboard !== storyboard || !this.dialog.open) return;
    this.strip.hidden = false;
    this.draw();
  }

  get length() { return this.video.duration || (this.about.durationMs ?? 0) / 1000; }

  play(url, at) {
    // A fragment has the player begin there, without a frame of the beginning.
    this.video.src = at ? `${url}#t=${at}` : url;
    // Not all browsers let a page begin by itself; then there is the button.
    this.video.play().catch(() => {});
  }

  unload() {
    this.video.removeAttribute('src');
    this.video.load();
  }

  // The address expires while the video is paused or long; a second failure is not about that.
  async failed() {
    if (!this.dialog.open || !this.video.hasAttribute('src')) return;
    if (this.renewed) {
      this.refuse();
      return;
    }
    this.renewed = true;
    try {
      const { currentTime } = this.video;
      this.play((await this.renew()).url, currentTime);
    } catch (error) {
      this.refuse(error.message);
    }
  }

  refuse(why = `This browser cannot play ${this.format(this.about)}. Download it, and play it with another program.`) {
    this.unload();
    this.video.controls = false;
    this.unplayable.firstElementChild.textContent = why;
    this.unplayable.hidden = false;
  }

  seek(to) {
    if (this.video.seekable.length) this.video.currentTime = Math.min(this.length, Math.max(0, to));
  }

  look(event) {
    const { left, width } = this.strip.getBoundingClientRect();
    const part = Math.min(1, Math.max(0, (event.clientX - left) / width));
    const at = part * this.length;
    this.peek.hidden = false;
    this.storyboard.paint(this.peek.firstElementChild, at);
    this.peek.lastElementChild.textContent = this.clock(at * 1000);
    const half = this.peek.offsetWidth / 2;
    this.peek.style.left = `${Math.min(width - half, Math.max(half, part * width))}px`;
    if (event.buttons) this.seek(at);
  }

  mark() {
    const { currentTime } = this.video;
    this.strip.style.setProperty('--part', this.length ? currentTime / this.length : 0);
    this.strip.ariaValueMax = Math.round(this.length);
    this.strip.ariaValueNow = Math.round(currentTime);
    this.strip.ariaValueText = this.clock(currentTime * 1000);
  }

  // As many tiles as fit, each at its time.
  draw() {
    const canvas = this.strip.firstElementChild;
    const scale = window.devicePixelRatio;
    const [width, height] = [canvas.clientWidth * scale, canvas.clientHeight * scale];
    Object.assign(canvas, { width, height });
    const { tiles, image } = this.storyboard;
    const [, , w, h] = tiles[0].box;
    const count = Math.max(1, Math.round(width / (height * (w / h))));
    for (let i = 0; i < count; i += 1) {
      const [x, y] = tiles[this.storyboard.tileAt(((i + 0.5) / count) * this.length)].box;
      canvas.getContext('2d').drawImage(image, x, y, w, h, (i * width) / count, 0, width / count, height);
    }
    this.mark();
  }
}
