// A cookie that says a reader has put something away; the server reads it with the next page.
export default function ({ data }) {
  document.cookie = `${data.cookie}; path=/; max-age=31536000; samesite=lax`;
}
