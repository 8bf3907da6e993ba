import { useUpload } from 'upreel/react'

export default function App() {
  const { start, progress, video, error } = useUpload({ api: import.meta.env.VITE_API ?? 'http://127.0.0.1:3000' })
  return (
    <main>
      <h1>Upload a video</h1>
      <input type="file" accept="video/*,.mkv,.ts" aria-label="Video" onChange={({ target }) => target.files?.[0] && start(target.files[0])} />
      {progress && <progress aria-label="Upload" value={progress.sent} max={progress.total} />}
      <p role="status">{error?.message ?? video?.error?.message ?? video?.status}</p>
      {video?.url && <video src={video.url} poster={video.thumbnailUrl} controls />}
    </main>
  )
}
