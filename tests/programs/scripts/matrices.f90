! Matrices that grow, strings of any length, formatted output.
program matrices
  implicit none
  real(8), allocatable :: a(:, :), b(:, :), c(:, :)
  character(:), allocatable :: text
  integer, allocatable :: list(:)
  integer :: i, j, n
  do n = 1, 120
    allocate (a(n, n), b(n, n))
    do i = 1, n
      do j = 1, n
        a(i, j) = mod(i * 7919 + j * 31, 1009); b(i, j) = mod(i * j, 17)
      end do
    end do
    c = matmul(a, transpose(b))
    if (mod(n, 20) == 0) write (*, '(i4, 2f20.4)') n, sum(c), maxval(abs(c))
    deallocate (a, b)
  end do
  text = ''
  list = [integer ::]
  do i = 1, 3000
    text = text // char(65 + mod(i, 26)); list = [list, i * i]
  end do
  print *, len(text), text(2000:2026), size(list), list(2999)
end program
